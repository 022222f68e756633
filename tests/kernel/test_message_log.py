"""The log: nothing that was written is lost, nothing damaged is believed."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest
from hypothesis import example, given, settings, strategies as st

from minirag.errors import LogError, Unfinished
from minirag.message_log import Exchange, MessageLog, exchange_id, write_atomically
from minirag.testing import completion


def exchange(text: str = "hello", repeat: int = 0, **fields: object) -> Exchange:
    request = {"model": "m", "messages": [{"role": "user", "content": text}]}
    values = {"response": completion(f"you said {text}"), "tags": {"question": "q1"}, "seconds": 0.5, **fields}
    return Exchange(
        "draft", "chat.completions", "test", request, repeat=repeat, started="2026-11-22T05:23:20Z", **values
    )


def test_what_is_appended_is_read_back_and_a_failure_is_never_taken_for_an_answer(tmp_path):
    failed = exchange("b", response=None, error={"type": "ServiceError", "status": 500})
    with MessageLog(tmp_path / "log.jsonl") as log:
        log.append(exchange("a"))
        log.append(failed)
        again = MessageLog(log.path)
        assert list(log) == list(again) == [exchange("a"), failed]
    assert again.find(exchange("a").id) == exchange("a")
    assert again.find(failed.id) is None
    assert again.failures == [failed]


def test_identity_depends_on_request_place_and_repeat_and_not_on_tags_or_time():
    one = exchange("a")
    assert exchange("a", tags={"question": "q2"}, seconds=9.0).id == one.id
    others = [exchange("b"), exchange("a", repeat=1)]
    elsewhere = exchange_id("elsewhere", "chat.completions", dict(reversed(one.request.items())))
    assert exchange_id("test", "chat.completions", dict(reversed(one.request.items()))) == one.id
    assert len({one.id, *(other.id for other in others), elsewhere}) == 4


def test_a_log_cut_anywhere_keeps_all_whole_lines_and_takes_the_next_one(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    with MessageLog(path) as log:
        for text in ("one", "two"):
            log.append(exchange(text))
    data = path.read_bytes()
    first = data.index(b"\n") + 1
    monkeypatch.setattr("os.fsync", lambda _: None)  # many syncs prove nothing here and take seconds
    for cut in sorted({*range(0, len(data), 5), first - 1, first, len(data) - 1}):
        path.write_bytes(data[:cut])
        log = MessageLog(path)
        whole = (cut >= first) + (cut == len(data))
        assert len(log) == whole, cut
        log.append(exchange("three"))
        log.close()
        texts = [item.request["messages"][0]["content"] for item in MessageLog(path)]
        assert texts == [*["one", "two"][:whole], "three"], cut
    assert (tmp_path / "log.jsonl.torn").exists()


def test_three_hundred_flipped_bits_are_never_believed(tmp_path):
    path, dice = tmp_path / "log.jsonl", random.Random(1)
    lines = [exchange(str(n)).to_line() for n in range(8)]
    data = b"".join(lines)
    named = set_aside = 0
    for _ in range(300):
        position = dice.randrange(len(data))
        flipped = bytearray(data)
        flipped[position] ^= 1 << dice.randrange(8)
        path.write_bytes(flipped)
        try:
            set_aside += len(MessageLog(path)) == len(lines) - 1
        except LogError as error:
            named += f" line {data.count(10, 0, position) + 1} " in str(error)
    assert named + set_aside == 300
    assert set_aside < 5


def test_a_line_of_a_newer_version_is_refused_by_name(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(exchange().to_line().replace(b'{"v":1', b'{"v":2'))
    with pytest.raises(LogError, match="newer"):
        MessageLog(path)


def test_threads_append_whole_lines_and_those_that_claim_one_call_make_it_once(tmp_path):
    def ask(n: int) -> None:
        log.append(exchange(f"own {n}"))
        with log.claim(exchange().id):
            if log.find(exchange().id) is None:
                log.append(exchange())

    with MessageLog(tmp_path / "log.jsonl") as log, ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(40)))
    texts = [item.request["messages"][0]["content"] for item in MessageLog(log.path)]
    assert sorted(texts) == sorted(["hello", *(f"own {n}" for n in range(40))])


@given(text=st.text(), tags=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)))
@example(text="bad \udc80 text", tags={})
@settings(max_examples=50)
def test_any_text_survives_the_line(text, tags):
    item = exchange(text, tags=tags)
    assert Exchange.from_line(item.to_line()) == item
    assert item.to_line().count(b"\n") == 1


def test_a_second_writer_is_refused_until_the_first_one_has_closed(tmp_path):
    one, two = MessageLog(tmp_path / "log.jsonl"), MessageLog(tmp_path / "log.jsonl")
    one.append(exchange("1"))
    with pytest.raises(LogError, match="Another process is working in"):
        two.append(exchange("2"))
    one.close()
    two.append(exchange("2"))  # behind what was written since it was opened
    assert list(MessageLog(one.path)) == list(two) == [exchange("1"), exchange("2")]


def test_a_writer_that_fails_leaves_the_old_content_and_nothing_beside_it(tmp_path):
    write_atomically(tmp_path / "a", b"old")

    def fails(stream: BinaryIO) -> None:
        stream.write(b"half of the n")
        raise OSError(28, "No space left on device")

    with pytest.raises(Unfinished, match="No space left"):
        write_atomically(tmp_path / "a", fails)
    with pytest.raises(Unfinished, match="Cannot write"):
        write_atomically(tmp_path / "a" / "b", b"x")
    with pytest.raises(LogError, match="Cannot write the log"):
        MessageLog(tmp_path / "a" / "log.jsonl").append(exchange())
    assert (tmp_path / "a").read_bytes() == b"old"
    assert oct((tmp_path / "a").stat().st_mode & 0o777) == "0o600"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
