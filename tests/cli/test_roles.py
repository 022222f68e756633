"""Roles: their services, keys and options; and the settings of minirag.toml."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from doubles import Script, place as embedded_place
from minirag.cli.arguments import parser, settings_of_file
from minirag.cli.main import main
from minirag.cli.settings import notes
from minirag.corpus import Settings
from minirag.costs import load_prices
from minirag.errors import InputError
from minirag.service import ROLE_KEYS, ROLES
from run_files import MODELS

# -- roles -------------------------------------------------------------------------------------------------


def keys_at(place: Script) -> dict[str, set[str]]:
    """The keys that came with each model's calls."""
    keys: dict[str, set[str]] = {}
    for seen in place.requests:
        if seen["path"].endswith(("/chat/completions", "/embeddings")):
            keys.setdefault(seen["body"]["model"], set()).add(seen["headers"]["authorization"].removeprefix("Bearer "))
    return keys


def test_a_key_goes_to_the_service_that_it_is_for_and_nowhere_else(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "main-key")
    for role in ("judge", "embedding", "tuned"):
        monkeypatch.setenv(ROLE_KEYS[role], f"{role}-key")
    with embedded_place() as one, embedded_place() as two, embedded_place() as three:
        places = ["--judge-base-url", two.url, "--embedding-base-url", three.url]
        places += ["--teacher-base-url", three.url, "--student-base-url", f"{one.url}/"]
        command = ["evaluate", str(document), *MODELS, f"--base-url={one.url}", *places, f"--out={tmp_path / 'o'}"]
        few = ["--train-questions=2", "--eval-questions=2", "--chunk-size=100", "--chunk-overlap=10"]
        tuned = ["--tuned=offline-teacher", "--tuned-base-url", two.url]
        assert main([*command, *few, *tuned]) in {0, 2}
        sent = [len(place.requests) for place in (one, two, three)]
        facts = json.loads((tmp_path / "o" / "run.json").read_text())
        assert main([*command, "--student-base-url=https://api.openai.com/v1"]) == 2
        assert "set MINIRAG_STUDENT_API_KEY" in capsys.readouterr().err  # the main key does not go there
        assert main(["evaluate", "--out", str(tmp_path / "o"), "--base-url", one.url]) == 2
        assert "--teacher-base-url http" in capsys.readouterr().err
        assert main([*command, *few, *tuned]) in {0, 2}
        assert [len(place.requests) for place in (one, two, three)] == sent
    assert keys_at(one) == {"offline-student": {"main-key"}}  # at the main address, so with its key
    assert keys_at(two) == {"offline-judge": {"judge-key"}, "offline-teacher": {"tuned-key"}}
    assert keys_at(three) == {"offline-teacher": {"none"}, "offline-embedding": {"embedding-key"}}
    assert [facts[f"{role}_service"] for role in ROLES] == [three.url, None, two.url, three.url, two.url]
    assert "-key" not in (tmp_path / "o" / "run.json").read_text()


def test_every_role_at_openai_is_warned_of_the_day_on_which_its_model_goes_off() -> None:
    models = {"teacher": "gpt-5", "student": "gpt-4.1-mini", "judge": "gpt-4.1", "embedding": "text-embedding-3-small"}
    settings, prices, today = Settings(documents=(), **models), load_prices(), date(2026, 11, 26)
    trains = "warning: OpenAI accepts no new fine-tuning jobs on gpt-4.1-mini from 2027-01-06 on."
    days = {"gpt-5": "2026-12-11", "gpt-4.1-mini": "2027-01-14", "gpt-4.1": "2027-01-14"}
    off = {model: f"warning: OpenAI switches {model} off on {day}." for model, day in days.items()}
    assert notes(settings, prices, {}, today) == [*off.values(), trains]
    away = {"base_url": "https://host.openai.azure.com/openai/v1", "judge_base_url": "https://api.openai.com/v1/"}
    assert notes(settings, prices, away, today) == [off["gpt-4.1"]]
    tuned = replace(settings, tuned="ft:gpt-4.1-nano:acme::1")
    assert notes(tuned, prices, {"judge_base_url": "http://localhost/v1"}, today) == [
        off["gpt-5"], off["gpt-4.1-mini"], "warning: OpenAI switched ft:gpt-4.1-nano:acme::1 off on 2026-10-23.",
    ]  # fmt: skip
    assert notes(settings, prices, {"offline": True}, today) == []


def test_a_field_of_a_request_is_json_or_text_and_none_that_minirag_sets() -> None:
    words = ["run", "--out", "o", "--teacher-option=a=1", "--teacher-option=b=x y", "--judge-option={}="]
    assert parser().parse_args(words).teacher_option == [("a", 1), ("b", "x y")]
    for wrong in ("novalue", "=3", "model=m", "stream=true", "max_tokens=3", "extra_headers={}"):
        with pytest.raises(SystemExit):
            parser().parse_args(["run", "--out", "o", "--teacher-option", wrong])


# -- minirag.toml ------------------------------------------------------------------------------------------


def test_init_writes_a_file_whose_every_line_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert settings_of_file(Path("minirag.toml")) == {}  # nothing is filled in yet
    assert main(["init"]) == 2
    written = [line.removeprefix("# ") for line in Path("minirag.toml").read_text("utf-8").splitlines()]
    lines = [line for line in written if re.match("[a-z-]+ = ", line)]
    assert len(lines) > 15
    Path("all.toml").write_text("\n".join(lines))
    options = settings_of_file(Path("all.toml"))
    assert (options["train_questions"], options["teacher_option"]) == (80, [("reasoning_effort", "low")])


def test_a_run_reads_minirag_toml_options_win_and_a_resumed_run_stays_as_it_was(
    document: Path, monkeypatch: pytest.MonkeyPatch, place: Script, capsys: Any
) -> None:
    def settings(*words: str) -> list[Any]:
        assert main(["index", *words]) == 0
        facts = json.loads(Path(words[-1], "run.json").read_text())
        return [facts["settings"][name] for name in ("teacher", "top_k", "seed", "control")] + [facts["service"]]

    monkeypatch.chdir(document.parent)
    models = "\n".join(re.sub("--(.*)=(.*)", r'\1 = "\2"', word) for word in MODELS)
    Path("minirag.toml").write_text(f"{models}\ntop-k = 1\nseed = 5\ncontrol = true\n")
    made = settings(str(document), "--seed=6", f"--base-url={place.url}", "--out", "o")
    assert made == ["offline-teacher", 1, 6, True, place.url]
    assert capsys.readouterr().err.startswith("minirag.toml: teacher, student, judge, embedding, top-k, control\n")
    Path("minirag.toml").write_text(f'base-url = "{place.url}"\ntop-k = 2\nteacher = "another"\n')
    assert settings("--config=minirag.toml", "--out", "o") == made
    # not the file's models, nor its address
    assert settings(str(document), "--offline", "--out", "p") == ["offline-teacher", 2, 0, False, "offline"]


@pytest.mark.parametrize("line", ["base-url = 'URL'", "judge-base-url = 'URL'", "store = 'postgresql://h/db'"])
def test_a_minirag_toml_that_nobody_named_does_not_decide_where_documents_go(
    line: str, document: Path, monkeypatch: pytest.MonkeyPatch, place: Script, capsys: Any
) -> None:
    monkeypatch.chdir(document.parent)
    Path("minirag.toml").write_text(line.replace("URL", place.url))
    assert main(["index", str(document), *MODELS, "--out", "o"]) == 2
    assert "names a place to send documents to" in capsys.readouterr().err
    assert not place.requests


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("teacher = ", "minirag.toml: Invalid value"),
        ("api-key = 3", "minirag.toml: error: unrecognized arguments: --api-key=3"),
        ("top-k = 0", "minirag.toml: error: argument --top-k: '0' is not a whole number from 1 upwards"),
    ],
)
def test_a_wrong_minirag_toml_is_a_sentence(text: str, says: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "minirag.toml").write_text(text)
    with pytest.raises((InputError, SystemExit)) as stop:
        settings_of_file(tmp_path / "minirag.toml")
    assert says in str(stop.value) + capsys.readouterr().err
