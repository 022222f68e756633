"""What a terminal shows of strangers' texts: nothing that it would obey."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles import Script, refusal
from minirag.cli.main import main
from minirag.cli.terminal import cut, say, show, show_json, table
from minirag.message_log import Exchange, MessageLog
from minirag.offline import JUDGE_MODEL, Server, serve
from payloads import ESCAPES


def obeyed(text: str) -> set[str]:
    """The characters of a text that a terminal obeys or that turn it, line feeds aside."""
    turning = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return {c for c in text if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c in turning}


@pytest.mark.parametrize("text", ESCAPES)
def test_no_way_to_the_terminal_lets_an_escape_sequence_through(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"a {text}")
    show(table(["head"], [[text], [f"{text}\nforged line"]]))
    show(cut(f"{text}\nforged line"))
    show_json({text: [text]})
    out, err = capsys.readouterr()
    assert obeyed(out + err) == set()
    assert (err.count("\n"), out.count("\n")) == (1, 5)
    assert json.loads(out.splitlines()[-1]) == {text: [text]}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The offline models."""
    with serve() as running:
        yield running


def write_hostile(folder: Path, text: str) -> None:
    """A log, a training file and rows in which every name and content is `text`."""
    reply = {"model": text, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    tags = {"arm": "base", "question": text, "split": "eval", "draft": 1}
    with MessageLog(folder / "messages.jsonl") as log:
        log.append(Exchange("draft", "chat.completions", text, {"model": text}, reply, tags=tags))
        log.append(Exchange(text, "embeddings", text, {"model": text}, reply, tags={"arm": text}))
    messages = [{"role": text, "content": text, text: 1}, {"role": "user", "content": ""}]
    chats = [json.dumps({"messages": messages[n:], text: 1}) for n in (0, 1)]
    (folder / "chats.jsonl").write_text("\n".join(chats))
    row = {"question": text, "answer": text, "contexts": [text], "arm": text, "id": text}
    (folder / "rows.jsonl").write_text(json.dumps(row))


@pytest.mark.parametrize("text", ESCAPES)
def test_no_command_prints_what_a_file_or_a_service_would_have_the_terminal_do(
    text: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, chats, out = str(tmp_path / "rows.jsonl"), str(tmp_path / "chats.jsonl"), str(tmp_path / "out")
    write_hostile(tmp_path, text)
    with Script(refusal(401, text, code=text)) as script:
        models = ["--base-url", script.url, "--judge", text, "--embedding", text]
        assert main(["evaluate", rows, *models, "--out", out]) == 2
    models = ["--base-url", server.base_url, "--judge", JUDGE_MODEL, "--metrics", "faithfulness"]
    assert main(["evaluate", rows, *models, "--out", out]) == 0
    for more in ([], ["--json"]):
        assert main(["costs", str(tmp_path), *more]) == 0
        assert main(["check", chats, *more]) == 2
    (tmp_path / "run.json").write_text(json.dumps({"settings": {"documents": text}, "service": text}))
    assert main(["report", "--out", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert obeyed(shown.out + shown.err) == set()
    assert "Traceback" not in shown.err
