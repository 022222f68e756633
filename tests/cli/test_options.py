"""Every option of every command does what it says there, or the command refuses it."""

import json
import re
from argparse import ArgumentTypeError, _SubParsersAction
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from doubles import Script, place as embedded_place
from minirag.cli.arguments import FORMS, STEPS, parser
from minirag.cli.main import main
from minirag.corpus import Settings
from minirag.errors import InputError
from minirag.service import ROLES
from run_files import MODELS

TRAINS = ["--epochs=2", "--batch-size=4", "--learning-rate-multiplier=0.5"]
SETTINGS = [
    *(*MODELS, *TRAINS, "--tuned=offline-other"),
    *"--temperature=0.5 --thinking-tokens=5000 --tokenizer=cl100k_base --train-questions=3 --eval-questions=2".split(),
    *"--free=student --seed=7 --top-k=1 --context-window=900 --reply-tokens=100 --chunk-size=100".split(),
    *"--chunk-overlap=10 --keep-all --judge-window=1000".split(),
    *"--control --rounds=2 --metrics=faithfulness --margin=0.1 --primary=faithfulness:tuned,teacher".split(),
    *("--query-prefix=query: ", "--passage-prefix=passage: ", "--prices=2023-08", "--max-cost=5.0"),
]
"""Each setting of a run, with a value that is not its default."""
NO_SETTINGS = {
    *"out config offline base_url insecure_http workers timeout patience batch json store training_option".split(),
    *(f"{role}_{what}" for role in ROLES for what in ("option", "base_url")),
}
"""The other options of a run; tested below and with their rooms."""
OWN = {"run": {"no_probe"}, "finetune": {"status", "cancel", "download"}, "compare": {"range", "cluster"}}
"""The options of single steps."""


def name_of(word: str) -> str:
    """The name of an option's value."""
    return word.removeprefix("--").partition("=")[0].partition(" ")[0].replace("-", "_")


def shown(command: str) -> dict[str, Any]:
    """The options that a command's `--help-all` shows, by name of their value."""
    [commands] = [action for action in parser(show_all=True)._actions if isinstance(action, _SubParsersAction)]
    actions = commands.choices[command]._actions
    return {action.dest: action for action in actions if action.option_strings and not action.dest.startswith("help")}


# -- every command, every option ---------------------------------------------------------------------------


def test_every_option_of_every_command_is_one_that_a_test_looks_at() -> None:
    options = set(map(name_of, SETTINGS)) | NO_SETTINGS
    for command in STEPS:
        assert shown(command).keys() == options | OWN.get(command, set()), command
    assert shown("plan").keys() == options - {"workers", "timeout", "patience", "store"}


def test_every_setting_of_a_run_is_an_option_and_is_recorded_for_the_steps_after_it(
    document: Path, tmp_path: Path, place: Script
) -> None:
    assert {*map(name_of, SETTINGS), "documents", "options"} == {*Settings.__dataclass_fields__}
    (tmp_path / "free.toml").write_text("[models]\noffline = { input = 0.0, output = 0.0 }\n")
    asked = [f"--{role}-option={field}" for role in ROLES for field in ("user=me", "seed=3")]
    for out, left_out in (("a", TRAINS), ("b", ["--tuned=offline-other"])):  # nothing is trained with --tuned
        words = [word for word in SETTINGS if word not in left_out]
        words[words.index("--prices=2023-08")] = f"--prices={tmp_path / 'free.toml'}"  # a cap needs all prices
        command = ["index", str(document), "--out", str(tmp_path / out), "--base-url", place.url]
        assert main([*command, *words, *asked]) == 0
        settings = json.loads((tmp_path / out / "run.json").read_text())["settings"]
        for word in words:
            value = settings[name_of(word)]
            text = ",".join(value) if isinstance(value, list) else "" if value is True else str(value)
            assert text == word.partition("=")[2], word
        assert settings["options"] == {role: {"user": "me", "seed": 3} for role in ROLES}
    assert {seen["body"]["user"] for seen in place.requests} == {"me"}


def example_of(action: Any) -> list[str]:
    """An option with a value that it takes."""
    if action.nargs == 0:
        return [action.option_strings[0]]
    for text in (*(action.choices or ()), "0.5", "2", "1,5", "seed=3", "http://127.0.0.1:9/v1"):
        with suppress(ArgumentTypeError, ValueError):
            assert action.type is None or action.type(text) is not None
            return [action.option_strings[0], text]
    raise AssertionError(f"no example of {action.option_strings[0]}")


STARTS = {
    "run.score_rows": ["evaluate", "rows.jsonl"],
    "compare.runs": ["compare", "a", "b"],
    "job.main": ["finetune", "--status", "--out", "o"],
    "compare.files": ["compare", "a.csv", "b.csv"],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_a_command_refuses_every_option_that_it_does_not_use(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    command = STARTS[form]
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
CHANGES = {
    "judge": "--judge=offline-teacher",
    "embedding": "--embedding=offline-other",
    "embedding_option": "--embedding-option=user=me",
    "config": "--config=DIR/top.toml",
    "tokenizer": "--tokenizer=no_such_vocabulary",
    "judge_window": "--judge-window=60",
    "max_cost": "--prices=DIR/dear.toml --max-cost=0",
    "prices": "--max-cost=9 --prices=DIR/dear.toml",
    "out": "--out=elsewhere",
    "insecure_http": "--base-url=http://192.0.2.1/v1 --insecure-http",
    **{name: f"--{name}" for name in ("batch", "json", "offline")},
    **{name: f"--{name.replace('_', '-')}=URL" for name in ("base_url", "judge_base_url", "embedding_base_url")},
}
"""Options of `evaluate FILE` that change something, if it is not by the value in SETTINGS; URL is another server.

Of two words, the first stands there in both cases.
"""
AT_FAULTS = {"timeout", "patience", "thinking_tokens", "workers"}
"""Options that show only where a service is slow, limited or thinks: tests/kernel/test_outcomes.py, test_retry.py."""


@pytest.mark.parametrize("name", sorted(FORMS["run.score_rows"][1] - AT_FAULTS))
def test_every_option_of_evaluate_file_changes_what_is_sent_or_shown(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(ROW.replace("Who", f"Who {n}") for n in range(4)))
    (tmp_path / "dear.toml").write_text("[models]\noffline = { input = 1e6, output = 1e6 }\n")
    (tmp_path / "top.toml").write_text("rounds = 2\n")
    settings = {name_of(word): word for word in SETTINGS} | {"judge_option": "--judge-option=seed=3"}
    options = CHANGES[name].split() if name in CHANGES else [settings[name]]

    def outcome(folder: str, *options: str) -> tuple[Any, ...]:
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        with embedded_place() as place, embedded_place() as other:
            words = [word.replace("URL", other.url).replace("DIR", str(tmp_path)) for word in options]
            main_words = [] if "--offline" in options else ["--base-url", place.url]
            code = main(["evaluate", str(tmp_path / "rows.jsonl"), *MODELS[2:], *main_words, *words])
            out, err = capsys.readouterr()
            said = re.sub(r"127.0.0.1:\d+", "HOST", out + err)
            files = {path.name for path in (tmp_path / folder).iterdir()}
            sent = (sorted(seen["raw"] for seen in place.requests), len(other.requests))
            return code, said, files, sent

    if name == "insecure_http":  # without it, that address is refused; with it, it is tried
        monkeypatch.setattr("minirag.retry.Retry.again", lambda *_: False)
        monkeypatch.setattr("minirag.service.within", lambda *_: (_ for _ in ()).throw(InputError("It was tried.")))
    assert outcome("with", *options) != outcome("without", *options[:-1])


def test_help_shows_the_ten_options_that_matter_and_help_all_every_one(capsys: Any) -> None:
    texts = []
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit):
            main(["run", flag])
        texts.append(capsys.readouterr().out)
    ten = {f"--{name}" for name in "out offline teacher student judge embedding base-url max-cost".split()}
    ten |= {"--train-questions", "--eval-questions"}
    assert set(re.findall(r"^  (--\S+)", texts[0], re.MULTILINE)) == ten | {"--help-all", "--no-probe"}
    assert all(action.option_strings[0] in texts[1] for action in shown("run").values())
