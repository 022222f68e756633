"""Every option of every command does what it says there, or the command refuses it; roles, keys, and minirag.toml."""

import json
import re
import subprocess
import sys
import time
from argparse import SUPPRESS, ArgumentTypeError, _SubParsersAction
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from doubles import AtOnce
from minirag import offline
from minirag.cli.arguments import FORMS, OPTIONS, OTHERS, STEPS, parser, settings_of_file
from minirag.cli.init import TEMPLATE
from minirag.cli.main import main
from minirag.cli.settings import date_warnings
from minirag.corpus import Settings
from minirag.costs import bill, load_prices, total
from minirag.errors import InputError
from minirag.message_log import MessageLog
from minirag.server import Server
from minirag.server.wire import Reply, Request
from minirag.service import ROLE_KEYS, ROLES

PAGES = "\f".join(f"The {name} of Velm opened in 19{n}0 and has {n} halls." for n, name in enumerate("abcdefgh", 2))
MODELS = {role: f"offline-{role}" for role in ROLES[:4]}
SAID = [f"--{role}={model}" for role, model in MODELS.items()]
SETTINGS: dict[str, Any] = {
    **MODELS,
    "tuned": "offline-other",
    "temperature": 0.5,
    "thinking_tokens": 5000,
    "tokenizer": "cl100k_base",
    "train_questions": 3,
    "eval_questions": 2,
    "seed": 7,
    "use_eval_pages": True,
    "top_k": 1,
    "query_prefix": "query: ",
    "passage_prefix": "passage: ",
    "context_window": 900,
    "reply_tokens": 100,
    "chunk_size": 100,
    "chunk_overlap": 10,
    "keep_all": True,
    "abstain_share": 0.1,
    "validation_share": 0.1,
    "suffix": "s",
    "epochs": 2,
    "batch_size": 4,
    "learning_rate_multiplier": 0.5,
    "judge_window": 1000,
    "control": True,
    "rounds": 2,
    "metrics": ["faithfulness"],
    "margin": 0.1,
    "primary": "faithfulness:tuned,teacher",
    "prices": "2023-08",
    "max_cost": 5.0,
}
"""Each setting of a run that an option changes, with a value that is not its default."""
PLACES = {"offline", "base_url", "insecure_http", *(f"{role}_base_url" for role in ROLES)}
HOW = {
    "out",
    "workers",
    "timeout",
    "patience",
    "batch",
    "json",
    "store",
    "job_minutes",
    "training_option",
    *(f"{role}_option" for role in ROLES),
}
"""The options of a run that are no settings; tested below and with their rooms."""


class Place:
    """An embedded server that keeps what it is asked: path, key and body of each request, and how many at one time."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.at_once = AtOnce()
        self._works = offline.api()

    def __call__(self, request: Request) -> Reply:
        with self.at_once:
            body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
            self.seen.append((request.path, request.headers.get("authorization", ""), body))
            time.sleep(0.01)
            return self._works(request)

    @property
    def keys(self) -> dict[str, set[str]]:
        """The keys that came with each model's calls."""
        keys: dict[str, set[str]] = {}
        for path, key, body in self.seen:
            if path.endswith(("/chat/completions", "/embeddings")):
                keys.setdefault(json.loads(body)["model"], set()).add(key.removeprefix("Bearer "))
        return keys


@pytest.fixture
def place() -> Iterator[tuple[Place, str]]:
    with Server(place := Place()) as server:
        yield place, server.base_url


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "velm.txt"
    path.write_text(PAGES)
    return path


def shown(command: str) -> dict[str, Any]:
    """The options that a command's `--help-all` shows, by name of their value."""
    [commands] = [action for action in parser(show_all=True)._actions if isinstance(action, _SubParsersAction)]
    actions = commands.choices[command]._actions
    return {action.dest: action for action in actions if action.option_strings and not action.dest.startswith("help")}


# -- every command, every option ---------------------------------------------------------------------------


def test_every_option_of_every_command_is_one_that_a_test_looks_at() -> None:
    own = {"run": {"dry_run", "no_probe"}, "questions": {"review"}, "finetune": {"status", "cancel", "download"}}
    own |= {"compare": {"html", "range", "cluster"}, "report": {"tables"}, "plan": {"out", "batch", "json"}}
    waits = {"finetune", "evaluate", "compare", "report", "run"}
    for command in STEPS:
        expected = {*SETTINGS, *PLACES, *HOW, *own.get(command, ())} - (set() if command in waits else {"job_minutes"})
        assert shown(command).keys() == expected, command
    roles = {f"{role}_option" for role in (*ROLES, "training")}
    assert shown("plan").keys() == {*SETTINGS, *PLACES, *roles, *own["plan"]}
    for command in OTHERS.keys() - {"plan"}:  # each of them has a test of its own
        names = {row[0].split()[0].removeprefix("--").replace("-", "_") for row in OPTIONS.get(command, ())}
        assert shown(command).keys() == names


def test_every_setting_of_a_run_is_an_option_and_is_recorded_for_the_steps_after_it(
    document: Path, tmp_path: Path, place: tuple[Place, str]
) -> None:
    assert SETTINGS.keys() | {"documents", "options"} == {*Settings.__dataclass_fields__}
    words = [str(document), "--out", str(tmp_path / "out"), "--base-url", place[1]]
    for name, value in SETTINGS.items():
        text = ",".join(value) if isinstance(value, list) else str(value)
        words.append(f"--{name.replace('_', '-')}" + ("" if value is True else f"={text}"))
    words = [word for word in words if not word.startswith(("--epochs", "--suffix", "--batch-size", "--learning"))]
    asked = [f"--{role}-option={field}" for role in ROLES for field in ("user=me", "seed=3")]
    assert main(["index", *words, *asked, "--max-cost", "5", "--prices", _free(tmp_path)]) == 0
    facts = json.loads((tmp_path / "out" / "run.json").read_text())
    trains = {"epochs", "suffix", "batch_size", "learning_rate_multiplier"}
    expected = {name: value for name, value in SETTINGS.items() if name not in trains} | {"prices": _free(tmp_path)}
    assert {name: facts["settings"][name] for name in expected} == expected
    assert facts["settings"]["options"] == {role: {"user": "me", "seed": 3} for role in ROLES}
    assert all('"user":"me"' in body.replace(" ", "") for _, _, body in place[0].seen)
    assert (
        main(["index", str(document), *SAID, "--base-url", place[1], "--out", str(tmp_path / "o"), "--epochs=3"]) == 0
    )
    assert json.loads((tmp_path / "o" / "run.json").read_text())["settings"]["epochs"] == 3


def _free(folder: Path) -> str:
    path = folder / "free.toml"
    path.write_text("[models]\noffline = { input = 0.0, output = 0.0 }\n")
    return str(path)


def example_of(action: Any) -> list[str]:
    """An option with a value that it takes."""
    if action.nargs == 0:
        return [action.option_strings[0]]
    for text in (*(action.choices or ()), "0.5", "2", "1,5", "seed=3", "http://127.0.0.1:9/v1"):
        with suppress(ArgumentTypeError):
            assert action.type is None or action.type(text) is not None
            return [action.option_strings[0], text]
    raise AssertionError(f"no example of {action.option_strings[0]}")


STARTS = {"rows": ["evaluate", "rows.jsonl"], "replicate": ["compare", "a", "b"], "job": ["finetune", "--status"]}
STARTS["score_files"] = ["compare", "a.csv", "b.csv"]


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_a_command_refuses_every_option_that_it_does_not_use(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [*STARTS[form], *(["--out", "o"] if form == "job" else [])]
    for name in ("a.csv", "b.csv"):
        Path(name).write_text("question,score\nWho?,1\n")
    refused = {name: action for name, action in shown(command[0]).items() if name not in FORMS[form][1]}
    assert refused.keys() >= {"teacher", "student", "top_k", "epochs", "teacher_base_url", "control"}
    for name in refused.keys() - ({"out"} if command[0] == "compare" else set()):  # with --out it is a run
        flag, example = refused[name].option_strings[0], example_of(refused[name])
        capsys.readouterr()
        assert main([*command, *example]) == 2, name
        assert capsys.readouterr().err == f"minirag: {FORMS[form][0]} does not use {flag}: leave it out.\n"
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv"}


ROW = '{"question": "Who?", "answer": "Ann did it. Bob did not.", "contexts": ["Ann did it."]}\n'
CHANGES: dict[str, list[str]] = {
    "judge": ["--judge", "offline-teacher"],
    "judge_option": ["--judge-option", "seed=3"],
    "judge_base_url": ["--judge-base-url", "URL"],
    "embedding": ["--embedding", "offline-other"],
    "embedding_option": ["--embedding-option", "user=me"],
    "embedding_base_url": ["--embedding-base-url", "URL"],
    "metrics": ["--metrics", "faithfulness"],
    "query_prefix": ["--query-prefix", "query: "],
    "rounds": ["--rounds", "2"],
    "temperature": ["--temperature", "0.5"],
    "tokenizer": ["--tokenizer", "no_such_vocabulary"],
    "judge_window": ["--judge-window", "60"],
    "max_cost": ["--prices", "dear.toml", "--max-cost", "0"],
    "workers": ["--workers", "1"],
    "json": ["--json"],
    "out": ["--out", "elsewhere"],
    "offline": ["--offline"],
    "base_url": ["--base-url", "URL"],
    "insecure_http": ["--base-url", "http://192.0.2.1/v1", "--insecure-http"],
    "prices": ["--max-cost", "9", "--prices", "dear.toml"],
}
"""An option of `evaluate FILE`, given so that something changes; URL is another server."""


AT_FAULTS = {"timeout", "patience", "thinking_tokens"}
"""Options that show only where a service is slow, limited or thinks: tests/kernel/test_outcomes.py."""


@pytest.mark.parametrize("name", sorted(FORMS["rows"][1] - AT_FAULTS - {"batch"}))  # of which tests/batch has a test
def test_every_option_of_evaluate_file_changes_what_is_sent_or_shown(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "rows.jsonl").write_text(ROW * 4)
    (tmp_path / "dear.toml").write_text("[models]\noffline = { input = 1e6, output = 1e6 }\n")

    def outcome(folder: str, *options: str) -> tuple[Any, ...]:
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        with Server(main_place := Place()) as server, Server(other := Place()) as second:
            words = ["--base-url", server.base_url, *(second.base_url if word == "URL" else word for word in options)]
            if "--offline" in options:
                words = words[2:]
            words = [str(tmp_path / word) if word == "dear.toml" else word for word in words]
            code = main(["evaluate", str(tmp_path / "rows.jsonl"), *SAID[2:], *words])
            out, err = capsys.readouterr()
            said = re.sub(r"127.0.0.1:\d+", "HOST", out + err)
            files = {path.name for path in (tmp_path / folder).iterdir()}
            sent = (sorted(body for _, _, body in main_place.seen), len(other.seen))
            return code, said, files, sent, main_place.at_once.most > 1

    before = {"insecure_http": 2, "max_cost": 2, "prices": 2}.get(name, 0)  # words that stand there in both
    if name == "insecure_http":  # without it, that address is refused; with it, it is tried
        monkeypatch.setattr("minirag.retry.Retry.again", lambda *_: False)
        monkeypatch.setattr("minirag.service.within", lambda *_: (_ for _ in ()).throw(InputError("It was tried.")))
    assert outcome("with", *CHANGES[name]) != outcome("without", *CHANGES[name][:before])


def test_evaluate_file_obeys_its_cap(tmp_path: Path, place: tuple[Place, str], capsys: Any) -> None:
    (tmp_path / "rows.jsonl").write_text(ROW * 3)
    (tmp_path / "dear.toml").write_text("[models]\noffline = { input = 100.0, output = 400.0 }\n")
    command = [
        "evaluate",
        str(tmp_path / "rows.jsonl"),
        *SAID[2:],
        "--base-url",
        place[1],
        "--out",
        str(tmp_path / "o"),
    ]
    assert main([*command, "--prices", str(tmp_path / "dear.toml"), "--max-cost", "0.15"]) == 4
    assert "run again with a higher --max-cost" in capsys.readouterr().err
    spent = total(bill(MessageLog(tmp_path / "o" / "messages.jsonl"), load_prices(tmp_path / "dear.toml")))
    assert spent is not None
    assert 0 < spent <= 0.15


# -- roles -------------------------------------------------------------------------------------------------


def test_a_key_goes_to_the_service_that_it_is_for_and_nowhere_else(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "main-key")
    for role in ("judge", "embedding", "tuned"):
        monkeypatch.setenv(ROLE_KEYS[role], f"{role}-key")
    with Server(first := Place()) as one, Server(second := Place()) as two, Server(third := Place()) as three:
        places = ["--judge-base-url", two.base_url, "--embedding-base-url", three.base_url]
        places += ["--teacher-base-url", three.base_url, "--student-base-url", f"{one.base_url}/"]
        command = ["evaluate", str(document), *SAID, "--base-url", one.base_url, *places, "--out", str(tmp_path / "o")]
        few = ["--train-questions=2", "--eval-questions=2", "--chunk-size=100", "--chunk-overlap=10"]
        tuned = ["--tuned=offline-teacher", "--tuned-base-url", two.base_url]
        assert main([*command, *few, *tuned]) in {0, 2}
        sent = len(first.seen), len(second.seen), len(third.seen)
        facts = json.loads((tmp_path / "o" / "run.json").read_text())
        assert main(["evaluate", "--out", str(tmp_path / "o"), "--base-url", one.base_url]) == 2
        assert "--teacher-base-url http" in capsys.readouterr().err
        assert main([*command, *few, *tuned]) in {0, 2}
        assert (len(first.seen), len(second.seen), len(third.seen)) == sent
    assert first.keys == {"offline-student": {"main-key"}}  # at the main address, so with its key
    assert second.keys == {"offline-judge": {"judge-key"}, "offline-teacher": {"tuned-key"}}
    assert third.keys == {"offline-teacher": {"none"}, "offline-embedding": {"embedding-key"}}
    assert [facts[f"{role}_service"] for role in ROLES] == [
        three.base_url, None, two.base_url, three.base_url, two.base_url,
    ]  # fmt: skip
    assert "-key" not in (tmp_path / "o" / "run.json").read_text()


def test_openai_s_key_does_not_go_to_openai_for_a_role_alone(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "main-key")
    command = ["index", str(document), *SAID, "--base-url", "http://127.0.0.1:9/v1", "--out", str(tmp_path / "o")]
    assert main([*command, "--judge-base-url", "https://api.openai.com/v1"]) == 2
    assert "set MINIRAG_JUDGE_API_KEY" in capsys.readouterr().err


def test_every_role_at_openai_is_warned_of_the_day_on_which_its_model_goes_off() -> None:
    models = {"teacher": "gpt-5", "student": "gpt-4.1-mini", "judge": "gpt-4.1", "embedding": "text-embedding-3-small"}
    settings, prices, today = Settings(documents=(), **models), load_prices(), date(2026, 11, 26)
    trains = "OpenAI accepts no new fine-tuning jobs on gpt-4.1-mini from 2027-01-06 on."
    days = {"gpt-5": "2026-12-11", "gpt-4.1-mini": "2027-01-14", "gpt-4.1": "2027-01-14"}
    off = {model: f"OpenAI switches {model} off on {day}." for model, day in days.items()}
    assert date_warnings(settings, prices, {}, today) == [*off.values(), trains]
    away = {"base_url": "https://host.openai.azure.com/openai/v1", "judge_base_url": "https://api.openai.com/v1/"}
    assert date_warnings(settings, prices, away, today) == [off["gpt-4.1"]]
    tuned = replace(settings, tuned="ft:gpt-4.1-nano:acme::1")
    assert date_warnings(tuned, prices, {"judge_base_url": "http://localhost/v1"}, today) == [
        off["gpt-5"], off["gpt-4.1-mini"], "OpenAI switched ft:gpt-4.1-nano:acme::1 off on 2026-10-23.",
    ]  # fmt: skip
    assert date_warnings(settings, prices, {"offline": True}, today) == []


def test_options_of_a_role_are_in_its_requests_and_a_tuned_model_has_the_student_s() -> None:
    assert settings_words("--teacher-option=a=1", "--teacher-option=b=x y", "--judge-option={}=") == [
        ("a", 1), ("b", "x y"),
    ]  # fmt: skip
    for wrong in ("novalue", "=3", "model=m", "stream=true", "max_tokens=3", "extra_headers={}"):
        with pytest.raises(SystemExit):
            parser().parse_args(["run", "--out", "o", "--teacher-option", wrong])


def settings_words(*words: str) -> Any:
    return vars(parser().parse_args(["run", "--out", "o", *words]))["teacher_option"]


# -- minirag.toml ------------------------------------------------------------------------------------------


def test_init_writes_a_file_whose_every_line_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert settings_of_file(Path("minirag.toml")) == {}  # nothing is filled in yet
    assert main(["init"]) == 2
    lines = [line.removeprefix("# ") for line in TEMPLATE.splitlines() if re.match(r"(# )?[a-z-]+ = ", line)]
    assert len(lines) > 15
    Path("all.toml").write_text("\n".join(lines))
    options = settings_of_file(Path("all.toml"))
    assert (options["train_questions"], options["teacher_option"]) == (80, [("reasoning_effort", "low")])


def test_a_run_reads_minirag_toml_options_win_and_a_resumed_run_stays_as_it_was(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[Place, str], capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "main-key")
    models = "".join(f'{role} = "{model}"\n' for role, model in MODELS.items())
    Path("minirag.toml").write_text(f'{models}base-url = "{place[1]}"\ntop-k = 1\nseed = 5\ncontrol = true\n')
    assert main(["index", str(document), "--seed", "6", "--out", "o"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("minirag.toml: teacher, student, judge, embedding, base-url, top-k, control\n")
    settings = json.loads(Path("o/run.json").read_text())["settings"]
    assert (settings["top_k"], settings["seed"], settings["control"]) == (1, 6, True)
    assert place[0].keys == {"offline-embedding": {"none"}}  # no file decides where OPENAI_API_KEY goes
    Path("minirag.toml").write_text(f'base-url = "{place[1]}"\ntop-k = 2\nteacher = "another"\n')
    assert main(["index", "--out", "o"]) == 0
    settings = json.loads(Path("o/run.json").read_text())["settings"]
    assert (settings["top_k"], settings["teacher"]) == (1, "offline-teacher")
    assert main(["index", str(document), "--offline", "--out", "p"]) == 0  # not the file's models, nor its address
    facts = json.loads(Path("p/run.json").read_text())
    assert (facts["service"], facts["settings"]["teacher"], facts["settings"]["top_k"]) == (
        "offline",
        "offline-teacher",
        2,
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("teacher = ", "Cannot read minirag.toml"),
        ("api-key = 3", "minirag.toml: error: unrecognized arguments: --api-key=3"),
        ("top-k = 0", "minirag.toml: error: argument --top-k: '0' is not a whole number from 1 upwards"),
    ],
)
def test_a_wrong_minirag_toml_is_a_sentence(
    text: str, says: str, document: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(document.parent)
    Path("minirag.toml").write_text(text)
    try:
        code = main(["index", str(document), "--offline", "--out", "o"])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    assert says in capsys.readouterr().err


# -- help --------------------------------------------------------------------------------------------------


def test_help_shows_the_ten_options_that_matter_and_help_all_every_one(capsys: Any) -> None:
    texts = []
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit):
            main(["run", flag])
        texts.append(capsys.readouterr().out)
    ten = "--out --offline --teacher --student --judge --embedding --base-url --max-cost"
    assert set(re.findall(r"^  (--\S+)", texts[0], re.MULTILINE)) - {"--help-all", "--dry-run", "--no-probe"} == {
        *ten.split(),
        "--train-questions",
        "--eval-questions",
    }
    assert all(action.option_strings[0] in texts[1] for action in shown("run").values() if action.help != SUPPRESS)


def test_help_needs_no_library() -> None:
    listing = "import sys; from minirag.cli.arguments import parser; parser(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout.split()
    assert {"numpy", "openai", "httpx", "tiktoken"} & set(loaded) == set()
