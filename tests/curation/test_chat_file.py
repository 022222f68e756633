"""Checking chat files of any origin: the right line, the right rule, and never a traceback."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies as st

from minirag.cli.main import main
from minirag.curation.chat_file import Checked, check_file, check_line
from minirag.prompts import NOT_STATED
from minirag.text import for_model


def good(number: int) -> dict[str, Any]:
    """An example that breaks no rule and is like no other."""
    words = [f"w{random.Random(number).randrange(10**6 + i)}" for i in range(14)]
    texts = {"system": "Answer.", "user": f"What of {' '.join(words[:6])}?", "assistant": f"It is {' '.join(words)}."}
    return {"messages": [{"role": role, "content": text} for role, text in texts.items()]}


def line(row: Any) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()


LINE = line(good(10_000))


def spoilt(change: Callable[[list[Any]], Any]) -> bytes:
    """The line after its messages were changed in place."""
    row = json.loads(LINE)
    change(row["messages"])
    return line(row)


TEXT = {"type": "text", "text": "What is this?"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://host/a.png"}}


def with_calls(*changes: Callable[[list[Any]], Any]) -> bytes:
    """A line with a call, its reply and the answer (messages 3, 4 and 5), after its messages were changed in place."""
    row = {**good(20_000), "tools": [{"type": "function", "function": {"name": "weather"}}]}
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    row["messages"][2:2] = [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Rain."},
    ]
    for change in changes:
        change(row["messages"])
    return line(row)


BROKEN = [
    ("json", LINE[:-3]),
    ("json", b"[" * 100_000),
    ("json", LINE.replace(b"Answer", b"\xff\xfe")),
    ("json", LINE.replace(b"Answer", b"\\ud83d")),
    ("json", b"\xef\xbb\xbf" + LINE),
    ("messages", b'{"prompt": "a", "completion": "b"}'),
    ("role", spoilt(lambda m: m[1].update(role="human"))),
    ("content", spoilt(lambda m: m[2].update(content=None))),
    ("content", spoilt(lambda m: m[1].update(content=[{"type": "text", "text": " "}]))),
    ("content", with_calls(lambda m: m[2].update(content={"text": "Hi"}))),
    ("content", spoilt(lambda m: m[1].update(content=[TEXT, {"type": "input_audio", "input_audio": {}}]))),
    ("content", spoilt(lambda m: m[2].update(content=[TEXT, IMAGE]))),
    ("weight", spoilt(lambda m: m[2].update(weight=2))),
    ("weight", spoilt(lambda m: m[2].update(weight=0))),
    ("calls", with_calls(lambda m: m[2]["tool_calls"][0]["function"].update(arguments="{city: Oslo}"))),
    ("calls", with_calls(lambda m: m[2]["tool_calls"][0].pop("id"), lambda m: m.pop(3))),
    ("calls", with_calls(lambda m: m[2]["tool_calls"][0].update(id=None), lambda m: m[3].pop("tool_call_id"))),
    ("calls", with_calls(lambda m: m.pop(3))),  # two assistant turns in a row, the first with a call
    ("calls", with_calls(lambda m: m[2].pop("tool_calls"), lambda m: m[2].update(content="Well."))),
    ("calls", with_calls().replace(b'"tools"', b'"functions"')),
    ("calls", spoilt(lambda m: m[1].update(tool_calls=[{"id": "c"}]))),
    ("calls", spoilt(lambda m: m.insert(2, {"role": "tool", "content": "Here."}))),
    ("message key", spoilt(lambda m: m[2].update(confidence=1))),
    ("no assistant", spoilt(lambda m: m.pop())),
    ("last message", spoilt(lambda m: m.append({"role": "user", "content": "Thanks"}))),
    ("tokens", spoilt(lambda m: m[1].update(content="word " * 70_000))),
]
FINE = [
    with_calls(),
    with_calls(lambda m: m.pop(), lambda m: m.pop()),  # the call is what is learned
    with_calls(lambda m: m[2].update(content=None, weight=0)),
    with_calls(lambda m: m[3].update(content=[TEXT])),
    spoilt(lambda m: m[1].update(content=[TEXT, IMAGE])),
    spoilt(lambda m: m[2].update(weight=1)),
]


def write(path: Path, *rows: Any) -> Path:
    """Write rows, or lines as bytes, as a file."""
    path.write_bytes(b"".join((row if isinstance(row, bytes) else line(row)) + b"\n" for row in rows))
    return path


def check(path: Path, *rows: Any) -> Checked:
    return check_file(write(path, *rows))


def test_each_broken_line_gives_its_number_and_its_rule_and_a_fine_one_none(tmp_path):
    rows = [good(n) for n in range(12)]
    for rule, broken in BROKEN:
        result = check(tmp_path / "broken.jsonl", *rows[:4], broken, *rows[4:])
        assert [(f.line, f.rule, f.is_error) for f in result.findings] == [(5, rule, True)], broken
    for fine in FINE:
        assert check(tmp_path / "fine.jsonl", *rows, fine).findings == [], fine


def test_a_line_is_compared_with_those_before_it(tmp_path):
    rows = [good(n) for n in range(12)]
    near = json.loads(line(rows[5]).replace(b"It is", b"IT IS"))
    result = check(tmp_path / "a.jsonl", *rows, rows[0], near)
    assert [tuple(finding) for finding in result.findings] == [
        (13, "near-duplicate", "nearly that of line 1", False),
        (14, "near-duplicate", "nearly that of line 6", False),
    ]


def test_too_few_examples_and_unknown_keys_are_told_and_tokens_are_exact(tmp_path):
    rows = [{**good(n), **({"id": 4} if n == 4 else {})} for n in range(9)]
    result = check(tmp_path / "few.jsonl", *rows)
    assert [(f.line, f.rule, f.is_error) for f in result.findings] == [(5, "unknown key", False), (0, "too few", True)]
    assert result.tokens == [for_model("gpt-4.1-mini").count_messages(row["messages"]) for row in rows]


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(["assistant", "tool", "text"]) | st.text(max_size=5)
)
KEYS = st.sampled_from(["messages", "role", "content", "weight", "type", "tool_calls", "id", "function", "arguments"])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@settings(deadline=None, max_examples=50)
@given(JSON)
def test_no_json_raises_anything(value):
    for row in (value, {"messages": [value]}, {"messages": [{"role": "assistant", "tool_calls": value}]}):
        check_line(line(row))


def test_check_says_what_it_found_and_exits_2_on_errors(tmp_path, capsys):
    def findings(*arguments: str) -> list[tuple[int, str]]:
        assert main(["check", *arguments, "--json"]) == 2
        return [(f["line"], f["rule"]) for f in json.loads(capsys.readouterr().out)["findings"]]

    rows = [good(n) for n in range(12)]
    path = str(write(tmp_path / "t.jsonl", *rows))
    assert main(["check", path]) == 0
    printed = capsys.readouterr().out
    assert "12 examples, 0 errors, 0 warnings" in printed
    assert "worth training on: 12 of 12\n" in printed
    refusal = good(13)
    refusal["messages"][-1]["content"] = NOT_STATED
    assert main(["check", str(write(tmp_path / "t.jsonl", *rows, refusal))]) == 0
    assert "worth training on: 12 of 13 (dropped: 1 refusal)" in capsys.readouterr().out
    assert findings(str(write(tmp_path / "t.jsonl", *rows, {}))) == [(13, "messages")]
    assert main(["check", str(tmp_path / "none.jsonl")]) == 2
    assert "Cannot read" in capsys.readouterr().err
