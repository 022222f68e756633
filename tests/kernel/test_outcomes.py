"""What a reply can be besides an answer, and how a model's form is learned."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from doubles import Script, refusal
from minirag import errors
from minirag.dialect import FEW, FIRST_THINKING, PARTS, Form
from minirag.errors import BadReply, ServiceError, ServiceRefused, refusal as error_of
from minirag.message_log import Exchange, MessageLog, visible
from minirag.models import ChatModel
from minirag.service import Service
from minirag.testing import completion

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}]
SCHEMA = {"type": "object", "properties": {}}
Make = Callable[..., Service]


def reply(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "c", "model": "m", "choices": [choice], **more}


def ask(service: Service, log: MessageLog | None = None, number: int = 0, **options: Any) -> Exchange:
    chat = ChatModel("m", service=service, log=log, **options)
    return chat.complete(MESSAGES, stage="draft", repeat=number, max_tokens=100, schema=SCHEMA)


# -- outcomes ----------------------------------------------------------------------------------------------

PART = {"type": "text", "text": "Ann."}
TOOL_CALL = {"content": None, "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply({"content": None, "refusal": "I cannot help with that."}), errors.REFUSED),
        (reply({"content": "Half of an"}, "content_filter"), errors.FILTERED),
        (reply(TOOL_CALL, "tool_calls"), errors.TOOLS),
        (reply({"content": ""}), errors.EMPTY),
        (reply({"content": "<think>Hm.</think>\n"}), errors.EMPTY),
        (refusal(400, "The response was filtered", code="content_filter"), errors.FILTERED),
        (refusal(403, "Input was flagged by moderation"), errors.FILTERED),
    ],
)
def test_what_is_no_answer_is_a_named_failure_asked_for_only_once(log, service, answer, code):
    with Script(answer) as script:
        with pytest.raises(ServiceError) as caught:
            ask(service(script), log)
        assert (caught.value.code, caught.value.final) == (code, True)
        assert [exchange.error["code"] for exchange in log if exchange.error] == [code]
        with pytest.raises(ServiceError) as repeated:
            ask(service(script), MessageLog(log.path))
        assert (str(repeated.value), repeated.value.code) == (str(caught.value), code)
        assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<think>Is {it} Ann?</think>\n\nAnn.", "Ann."),
        ("It is Ann, I think.</think>Ann.", "Ann."),
        ("<think>never ends", ""),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, PART, PART], "Ann.Ann."),
        ("  Ann. <b>", "  Ann. <b>"),
        (None, ""),
    ],
)
def test_the_visible_text_of_a_reply_is_that_without_its_thinking(content, text):
    assert visible(content) == text


# -- thinking ----------------------------------------------------------------------------------------------


def thinking(body: dict[str, Any], needed: int) -> Any:
    """What a model that thinks for so many tokens answers to a limit."""
    limit = body.get("max_tokens") or body.get("max_completion_tokens")
    spent = min(limit, needed)
    details = {"completion_tokens_details": {"reasoning_tokens": spent}}
    usage = {"prompt_tokens": 9, "completion_tokens": min(limit, needed + 3), **details}
    text, finish = ("Ann.", "stop") if limit >= needed + 3 else ("An" if limit > needed else "", "length")
    return reply({"content": text}, finish, usage=usage)


def test_a_model_that_thinks_gets_an_allowance_once_and_a_resumed_run_sends_nothing(log, service):
    said: list[str] = []
    with Script(lambda seen: thinking(seen["body"], 90)) as script:
        one = service(script, say=said.append)
        assert "thinking" not in ask(one, log).tags  # the answer fits beside it
        script.replies = [lambda seen: thinking(seen["body"], 5000)]
        texts = [ask(one, log, number).text for number in range(1, 4)]
        limits = [request["body"]["max_tokens"] for request in script.requests]
        assert texts == ["Ann."] * 3
        assert limits == [100, 100, 100 + FIRST_THINKING, *[100 + 2 * FIRST_THINKING] * 3]
        assert said == ["m thinks before it answers: its replies may be 8,192 tokens longer for that"]
        resumed = MessageLog(log.path)
        assert [ask(service(script), resumed, number).text for number in range(4)] == ["Ann."] * 4
        assert len(script.requests) == len(limits)


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_reply_that_thinking_took_whole_is_not_paid_for_again_after_a_kill(log, service, killed_after):
    with Script(lambda seen: thinking(seen["body"], 5000)) as script:
        ask(service(script), log)
        killed = log.path.with_name("killed.jsonl")
        killed.write_bytes(b"".join(log.path.read_bytes().splitlines(keepends=True)[:killed_after]))
        ask(service(script), MessageLog(killed))
    limits = [request["body"]["max_tokens"] for request in script.requests]
    every = [100, 100 + FIRST_THINKING, 100 + 2 * FIRST_THINKING]
    assert limits == every + every[killed_after:]


def test_a_limit_on_thinking_is_kept_and_a_stage_that_fails_alike_stops_after_a_few_calls(service):
    with Script(lambda seen: thinking(seen["body"], 99_999)) as script:
        one = service(script)
        for number in range(FEW - 1):
            with pytest.raises(BadReply, match="--thinking-tokens") as caught:
                ask(one, number=number, thinking_tokens=500)
            assert caught.value.code == errors.THINKING
        with pytest.raises(ServiceRefused, match=r"The first 5 draft requests to m failed alike"):
            ask(one, number=FEW, thinking_tokens=500)
    limits = [request["body"]["max_tokens"] for request in script.requests]
    assert limits == [100, 600] * FEW


def test_an_allowance_that_the_service_does_not_take_is_halved(service):
    def answer(seen: dict[str, Any]) -> Any:
        if seen["body"]["max_tokens"] > 3000:
            return refusal(400, "max_tokens is too large: this model's maximum context length is 3000 tokens")
        return thinking(seen["body"], 200)

    with Script(answer) as script:
        one = service(script)
        assert [ask(one, number=number).text for number in range(3)] == ["Ann."] * 3
    assert [request["body"]["max_tokens"] for request in script.requests] == [100, 4196, 2148, 2148, 2148]


# -- forms -------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[Any, set[str]]] = [
    ({"error": {"message": "invalid temperature: only 1 is allowed for this model"}}, {"temperature"}),
    ({"detail": [{"loc": ["body", "temperature"], "msg": "Extra inputs are not permitted"}]}, {"temperature"}),
    ({"error": {"message": "This response_format type is unavailable now"}}, {"json_schema"}),
    ({"error": "'response format' must be text"}, {"json_schema", "json_object"}),
    ({"object": "error", "message": "System role not supported", "code": 400}, {"system"}),
    ([{"error": {"code": 400, "message": "Use max_completion_tokens, not max_tokens"}}], {"max_tokens"}),
]
"""What services say, in its shape, of what they do not take."""


def picky(words: Any, refuses: Callable[[dict[str, Any]], bool]) -> Script:
    """Answer 400 with `words` to a body that `refuses` says the service does not take."""
    return Script(lambda seen: (400, {}, words) if refuses(seen["body"]) else completion("{}"))


@pytest.mark.parametrize(("words", "without"), REFUSALS)
def test_what_a_400_names_in_any_shape_gets_its_next_form_once_and_after_a_restart(words, without, log, service):
    def refuses(body: dict[str, Any]) -> bool:
        roles = {message["role"] for message in body["messages"]}
        return not without.isdisjoint({*body, *roles, body.get("response_format", {}).get("type")})

    said: list[str] = []
    with picky(words, refuses) as script:
        one = service(script, say=said.append)
        assert [ask(one, log, number).text for number in range(3)] == ["{}"] * 3
        assert one.dialect("m", log).form == Form(frozenset(without))
        assert said == [f"m does not support {PARTS[part][1]}" for part in sorted(without, reverse=True)]
        sent = len(script.requests)
        assert sent == 3 + len(without)
        again, resumed = service(script), MessageLog(log.path)
        assert [ask(again, resumed, number).text for number in range(3)] == ["{}"] * 3
        assert len(script.requests) == sent
        log.close()
        assert ask(again, resumed, 9).text == "{}"
        assert len(script.requests) == sent + 1


def test_an_outage_teaches_no_form_so_that_other_settings_are_other_calls(tmp_path, service):
    with Script(refusal(503), completion("{}")) as script:
        for temperature in (0.0, None, 0.7):
            with MessageLog(tmp_path / "log.jsonl") as log:
                ask(service(script), log, temperature=temperature)
        sent = [request["body"].get("temperature") for request in script.requests]
    assert sent == [0.0, 0.0, None, 0.7]


def test_a_400_that_names_nothing_tries_the_plainest_form_once_and_keeps_it_only_if_it_works(service):
    nothing = {"error": {"message": "Bad request"}}
    with picky(nothing, lambda body: "temperature" in body or "response_format" in body) as script:
        one = service(script)
        assert ask(one).text == "{}"
        assert ask(one, number=1).text == "{}"
        assert len(script.requests) == 3
    with picky(nothing, lambda _: True) as script:
        one = service(script)
        with pytest.raises(ServiceError, match="Bad request"):
            ask(one)
        assert len(script.requests) == 2
        assert one.dialect("m", None).form == Form()


def test_one_request_that_is_refused_for_itself_changes_nothing_for_others(service):
    with picky({"error": {"message": "temperature of the oven"}}, lambda body: "oven" in str(body)) as script:
        one = service(script)
        assert ask(one).text == "{}"
        messages = [{"role": "user", "content": "How hot is the oven?"}]
        with pytest.raises(ServiceError, match="oven"):
            ChatModel("m", service=one).complete(messages, stage="draft")
        assert ask(one, number=1).text == "{}"
        assert script.requests[-1]["body"]["temperature"] == 0.0


# -- one item, or all --------------------------------------------------------------------------------------


def test_a_403_is_the_failure_of_one_call_and_ends_the_run_only_where_every_call_gets_it(service):
    no = refusal(403, "not for this project")
    with Script(completion("{}"), no) as script:
        one = service(script)
        assert ask(one).text == "{}"
        for number in range(1, 9):
            with pytest.raises(ServiceError, match="not for this project") as caught:
                ask(one, number=number)
            assert not isinstance(caught.value, ServiceRefused)
    with Script(no) as script:
        one = service(script)
        kinds = []
        for number in range(FEW):
            with pytest.raises(ServiceError) as caught:
                ask(one, number=number)
            kinds.append(type(caught.value))
    assert kinds == [*[ServiceError] * (FEW - 1), ServiceRefused]


def test_what_gates_hold_for_a_call_is_given_back_whatever_happens(service):
    def refuse(_: Exchange) -> float:
        raise ValueError("no more")

    held: list[float] = []
    gate = SimpleNamespace(before=lambda _: held.append(1.0) or 1.0, after=lambda amount, _: held.remove(amount))
    with Script(refusal(418, "odd", code={"a": [1]}, param=["p"])) as script:
        one = service(script)
        one.gates[:] = [gate, gate]
        with pytest.raises(ServiceError):
            ask(one)
        one.gates[1] = SimpleNamespace(before=refuse)
        with pytest.raises(ValueError, match="no more"):
            ask(one, number=1)
    assert held == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<html><head><title>502</title></head><body><h1>Bad  gateway</h1></body></html>", "502 Bad gateway"),
        ({"error": "model crashed"}, "model crashed"),
        ({"error": {"code": {"a": 1}, "message": {"detail": ["x", "y"]}}}, "x; y"),
        ([{"error": {"code": 400, "message": "no"}}], "no"),
        ({"message": "key lacks scope api.model.read\nask an admin"}, "key lacks scope api.model.read ask an admin"),
        (None, "no reason given"),
        ({"error": {"message": "must be <= 1 and >= 0"}}, "must be <= 1 and >= 0"),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_an_error_body_of_any_shape_is_one_line_with_the_words_of_the_service(body, says, status):
    text = str(error_of("https://host/v1", status, body, {}, "m", key_name="MINIRAG_JUDGE_API_KEY"))
    assert f"{says}." in text
    assert "\n" not in text
    assert ("MINIRAG_JUDGE_API_KEY" in text) == (status == 401)
