"""What a terminal shows of strangers' texts: nothing that it would obey."""

import json
from pathlib import Path

import pytest

from minirag.cli import terminal
from minirag.cli.terminal import cut, say, show, show_json, table
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


def test_whatever_is_printed_passes_there_or_holds_no_text_of_others() -> None:
    texts = {path.stem: path.read_text("utf-8") for path in Path(terminal.__file__).parent.glob("*.py")}
    assert {name for name, text in texts.items() if "print(" in text} == {"terminal", "progress", "label", "main"}
