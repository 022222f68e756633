"""How one model at one service takes its requests: which parameters, in which form, with how much room to think.

Nothing hangs on the words of one vendor. A reply of 400 that names a part of the request in any spelling leads to the
next form of that one thing, and a 400 that names nothing to the plainest form. Only a form that works is kept; the tags
of its calls in the log tell it to later runs. A model that spends its reply on thinking gets an allowance on top.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from minirag.errors import FINAL, THINKING, TOO_LONG, ServiceDown, ServiceError, ServiceRefused
from minirag.message_log import Exchange, MessageLog
from minirag.prompts import with_shape

_FORMAT = "responseformat|json(schema|object|mode)|structuredoutput|guideddecoding"
_SYSTEM = r"system(role|message|prompt|instruction)|role(s)?(of)?system|developerinstruction|rolesmustalternate"
PARTS = {
    "max_tokens": (r"max(completion|output|new)?tokens", "max_tokens: sent as max_completion_tokens"),
    "temperature": ("temperature", "temperature: left out"),
    "json_schema": (_FORMAT, "json_schema: asked for json_object instead"),
    "json_object": (_FORMAT, "json_object: asked for text instead"),
    "system": (_SYSTEM, "the system role: its text opens the user message"),
    "base64": ("encodingformat|base64", "base64: asked for float instead"),
}
"""Parts of a request that a model may not take: what names each in an error, in lower case without spaces and
punctuation, and what the model gets instead."""
FIRST_THINKING, MOST_THINKING = 4096, 32_768
"""Tokens for thinking that a model gets at first, doubled up to the second number."""
ABOUT_FORM = (400, 422, 500, 501)
"""Statuses that may mean that a service does not take a request's form."""
FEW = 5
"""Failures of one kind in a row that stop a stage."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write requests: `without` what a model does not take (names of `PARTS`), and with `thinking` tokens
    added to the reply's limit. The default is what plain OpenAI-like services take."""

    without: frozenset[str] = frozenset()
    thinking: int = 0

    @classmethod
    def of(cls, exchange: Exchange) -> "Form":
        """Return the form in which a call was written, by its tags."""
        return cls(frozenset(exchange.tags.get("without", ())), exchange.tags.get("thinking", 0))

    def adapt(self, call: Exchange) -> Exchange:
        """Return the call with its request in this form, which its tags then tell."""
        request = dict(call.request)
        if "temperature" in self.without:
            request.pop("temperature", None)
        if "max_tokens" in request:
            limit = "max_completion_tokens" if "max_tokens" in self.without else "max_tokens"
            request[limit] = request.pop("max_tokens") + self.thinking
        if "base64" in self.without and "encoding_format" in request:
            request["encoding_format"] = "float"
        if "json_schema" in self.without and _holds(request, "json_schema"):
            request["messages"] = with_shape(request["messages"], request["response_format"]["json_schema"]["schema"])
            request["response_format"] = {"type": "json_object"}
            if "json_object" in self.without:
                del request["response_format"]
        roles = [message["role"] for message in request.get("messages", ())]
        if "system" in self.without and len(roles) > 1 and roles[0] == "system":
            system, user, *rest = request["messages"]
            request["messages"] = [{**user, "content": f"{system['content']}\n\n{user['content']}"}, *rest]
        if request == call.request:
            return call
        form = {"without": sorted(self.without), "thinking": self.thinking}
        tags = {**call.tags, **{name: value for name, value in form.items() if value}}
        return replace(call, request=request, tags=tags, id="")


def _holds(request: Mapping[str, Any], name: str) -> bool:
    """Return True if a request holds what a model may not take."""
    match name:
        case "json_schema" | "json_object":
            return (request.get("response_format") or {}).get("type") == name
        case "system":
            return any(message["role"] == "system" for message in request.get("messages", ()))
        case "base64":
            return request.get("encoding_format") == "base64"
    return name in request


class ModelDialect:
    """The forms in which one model at one service has answered, the newest last.

    A call tries further forms on its own (`following`), and the one that works becomes everybody's (`keep`): a request
    that is at fault itself changes nothing for others. Earlier forms stay known, because the log holds calls in them.
    `stages` are those that the model has answered; `say` hears each change.
    """

    def __init__(self, model: str, form: Form = Form(), most_thinking: int = MOST_THINKING) -> None:
        self.model = model
        self.forms = [form]
        self.most_thinking = most_thinking
        self.stages: set[str] = set()
        self.say: Callable[[str], None] = lambda _: None
        self._failures: Counter[tuple[str, Any, Any]] = Counter()  # since the last success

    @property
    def form(self) -> Form:
        """The form that new calls have."""
        return self.forms[-1]

    def begin_like(self, other: "ModelDialect") -> None:
        """Start in the form of the model that this one was tuned from."""
        self.forms += [form for form in other.forms if form not in self.forms]

    def variants(self, call: Exchange) -> list[str]:
        """Return the ids of this call in the forms that are known, the newest first."""
        return [form.adapt(call).id for form in reversed(self.forms)]

    def following(self, call: Exchange, form: Form, failed: Exchange, tried: Collection[str]) -> Form | None:
        """Return the form in which to try a call again after it `failed` in another; None if there is none.

        `tried` are the ids of its requests so far.
        """
        candidates = [self.form, *self._alternatives(form, failed)]
        return next((candidate for candidate in candidates if candidate.adapt(call).id not in tried), None)

    def _alternatives(self, form: Form, failed: Exchange) -> Iterator[Form]:
        """Yield the next form of each thing that an error names, in the order named, then the plainest form."""
        error = failed.error or {}
        if error.get("code") == THINKING and form.thinking < self.most_thinking:
            yield replace(form, thinking=min(self.most_thinking, max(FIRST_THINKING, 2 * form.thinking)))
        if error.get("status") not in ABOUT_FORM:
            return
        words = re.sub(r"[^a-z0-9]", "", f"{error.get('param')} {error.get('message')}".lower())
        places = {name: match.start() for name, (names, _) in PARTS.items() if (match := re.search(names, words))}
        is_too_long = TOO_LONG.search(str(error.get("message"))) is not None
        if form.thinking and (is_too_long or "max_tokens" in places):
            yield replace(form, thinking=form.thinking // 2 if form.thinking > FIRST_THINKING // 4 else 0)
        if is_too_long:
            places.pop("max_tokens", None)  # it is not the name that is refused
        for name in sorted(places, key=lambda name: places[name]):
            if _holds(failed.request, name):
                yield replace(form, without=form.without | {name})
        is_decided = is_too_long or error.get("code") in FINAL or failed.stage in self.stages
        if error["status"] in (400, 422) and not is_decided:
            yield replace(form, without=form.without | PARTS.keys() - {"max_tokens"})

    def keep(self, form: Form, stage: str) -> None:
        """Use this form from now on, if it is a new one, since a call of this stage has succeeded in it."""
        self.stages.add(stage)
        self._failures.clear()
        self.adopt(form)

    def adopt(self, form: Form) -> None:
        """Give new calls this form, unless it is known already."""
        if form in self.forms:
            return
        before = self.form
        self.forms.append(form)
        for name, (_, instead) in PARTS.items():
            if name in form.without - before.without:
                self.say(f"{self.model} does not support {instead}")
        if form.thinking > before.thinking:
            more = f"its replies may be {form.thinking:,} tokens longer for that"
            self.say(f"{self.model} thinks before it answers: {more}")

    def learn(self, failed: Exchange) -> None:
        """Change the form for all calls at once, if this one failed in the present form; for batches."""
        is_thinking = (failed.error or {}).get("code") == THINKING
        is_present = failed.tags.get("thinking", 0) == self.form.thinking
        is_present = is_present and replace(self.form, thinking=0).adapt(failed).request == failed.request
        if is_present and (is_thinking or failed.stage not in self.stages):
            self.adopt(next(self._alternatives(self.form, failed), self.form))

    def given_up(self, call: Exchange, failure: ServiceError) -> ServiceError:
        """Return what a call ends with that has failed for good: its failure, or one that stops the whole stage.

        That is a ServiceRefused where the first few calls of this stage have all failed alike, and a ServiceDown where
        a few in a row have failed in a way that may pass. Texts to embed that failed together may succeed apart.
        """
        if isinstance(failure, ServiceRefused) or len(call.request.get("input", ())) > 1:
            return failure
        kind = (call.stage, failure.status, failure.code)
        self._failures[kind] += 1
        number = self._failures[kind]
        if number < FEW or (call.stage in self.stages and not failure.transient):
            return failure
        if failure.transient:
            text = f"{number} calls of {self.model} failed in a row, the last with: {str(failure).rstrip('.')}"
            return ServiceDown(f"{text}; run again later.", status=failure.status, code=failure.code)
        text = f"The first {number} {call.stage} requests to {self.model} failed alike, and no more are sent"
        return ServiceRefused(f"{text}: {failure}", status=failure.status, code=failure.code)

    def recall(self, log: MessageLog, service: str) -> None:
        """Learn from the log what earlier runs have learned, so that no call is sent in two forms."""
        own = (service, self.model)
        has_failed = any((failed.service, failed.model) == own for failed in log.failures)
        for exchange in log if has_failed else ():
            if (exchange.service, exchange.model) != own:
                continue
            form = Form.of(exchange)
            if exchange.error is None:
                self.keep(self.form if form == Form() else form, exchange.stage)
            elif exchange.error.get("code") == THINKING and form.thinking >= self.form.thinking:
                self.adopt(next(self._alternatives(form, exchange), form))  # that reply was paid for
