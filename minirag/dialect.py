"""How one model at one service takes its requests: which parameters, in which form, with how much room to think.

Nothing hangs on the words of one vendor. A reply of 400 that names a part of the request in any spelling leads to the
next form of that one thing, and a 400 that names nothing to the plainest form. Only a form that works is kept; the tags
of its calls in the log tell it to later runs. A model that spends its reply on thinking gets an allowance on top.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from minirag.errors import FINAL, THINKING, ServiceError, ServiceRefused
from minirag.message_log import Exchange, MessageLog
from minirag.prompts import with_shape

INSTEAD = {
    "max_tokens": "max_tokens: sent as max_completion_tokens",
    "temperature": "temperature: left out",
    "dimensions": "dimensions: left out",
    "json_schema": "json_schema: asked for json_object instead",
    "json_object": "json_object: asked for text instead",
    "system": "the system role: its text opens the user message",
    "base64": "base64: asked for float instead",
}
"""What a model may not take, and what it gets instead."""
FIRST_THINKING, MOST_THINKING = 4096, 32_768
"""Tokens for thinking that a model gets at first, doubled up to the second number."""
ABOUT_FORM = (400, 422, 500, 501)
"""Statuses that may mean that a service does not take a request's form."""
FEW = 5
"""Failures of one kind that stop a stage, if none of its calls to a model has succeeded."""
_FORMAT = "responseformat|json(schema|object|mode)|structuredoutput|guideddecoding"
_NAMES = {
    "max_tokens": r"max(completion|output|new)?tokens",
    "temperature": "temperature",
    "dimensions": "dimensions|matryoshka",
    "json_schema": _FORMAT,
    "json_object": _FORMAT,
    "system": r"system(role|message|prompt|instruction)|role(s)?(of)?system|developerinstruction|rolesmustalternate",
    "base64": "encodingformat|base64",
}
"""What names a part of a request in an error, in lower case without spaces and punctuation."""
_TOO_LONG = re.compile("contextlength|contextwindow|contextsize|toolong|exceeds|toolarge")


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write requests: `without` what a model does not take (names of `INSTEAD`), and with `thinking` tokens
    added to the reply's limit. The default is what plain OpenAI-like services take."""

    without: frozenset[str] = frozenset()
    thinking: int = 0

    @classmethod
    def of(cls, exchange: Exchange, refused: Mapping[str, Any]) -> "Form":
        """Return the form in which a call was written, by its tags.

        Earlier versions did not tag calls: theirs are without what a `refused` request of the same stage held.
        """
        request, without = exchange.request, exchange.tags.get("without")
        if without is None:
            without = [name for name in INSTEAD if _holds(refused, name) and not _holds(request, name)]
            without += ["json_object"] if "json_schema" in without and "response_format" not in request else []
        return cls(frozenset(without), exchange.tags.get("thinking", 0))

    def adapt(self, call: Exchange) -> Exchange:
        """Return the call with its request in this form, which its tags then tell."""
        request = dict(call.request)
        for name in self.without & {"temperature", "dimensions"}:
            request.pop(name, None)
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
        self._faults: Counter[tuple[str, Any, Any]] = Counter()
        self._lock = threading.Lock()

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
        error = failed.error or {}
        if failed.response is not None and error.get("code") in {THINKING, *FINAL}:
            self._adopt(form)  # the service has taken it
        if error.get("code") == THINKING and form.thinking < self.most_thinking:
            # that it needs more is known before it has got it, so this change is for all calls at once
            more = min(self.most_thinking, max(FIRST_THINKING, 2 * form.thinking))
            self._adopt(replace(self.form, thinking=max(self.form.thinking, more)))
        candidates = [self.form]
        if error.get("status") in ABOUT_FORM:
            candidates += self._alternatives(form, failed)
        return next((candidate for candidate in candidates if candidate.adapt(call).id not in tried), None)

    def _alternatives(self, form: Form, failed: Exchange) -> Iterator[Form]:
        """Yield the next form of each thing that an error names, in the order named, then the plainest form."""
        error = failed.error or {}
        words = re.sub(r"[^a-z0-9]", "", f"{error.get('param')} {error.get('message')}".lower())
        places = {name: match.start() for name, names in _NAMES.items() if (match := re.search(names, words))}
        is_too_long = _TOO_LONG.search(words) is not None
        less_thinking = replace(form, thinking=form.thinking // 2 if form.thinking > FIRST_THINKING // 4 else 0)
        if form.thinking and is_too_long:
            yield less_thinking
        for name in sorted(places, key=lambda name: places[name]):
            if name == "max_tokens" and not is_too_long:  # the other one of the limit's two names
                yield replace(form, without=form.without ^ {name})
            elif _holds(failed.request, name):
                yield replace(form, without=form.without | {name})
        if form.thinking and "max_tokens" in places:
            yield less_thinking
        is_decided = is_too_long or error.get("code") in FINAL or failed.stage in self.stages
        if error["status"] in (400, 422) and not is_decided:
            yield replace(form, without=form.without | INSTEAD.keys() - {"max_tokens"})

    def keep(self, form: Form, stage: str) -> None:
        """Use this form from now on, if it is a new one, since a call of this stage has succeeded in it."""
        self.stages.add(stage)
        if form not in self.forms:
            thinking = self.form.thinking
            if 0 < form.thinking < thinking:  # the service takes no larger limit
                self.most_thinking = form.thinking
            self._adopt(form)
            if thinking and not form.thinking:  # another call has learned that meanwhile
                self._adopt(replace(form, thinking=thinking))

    def _adopt(self, form: Form) -> None:
        with self._lock:
            before = self.form
            if form not in self.forms:
                self.forms.append(form)
        if before.without - form.without == {"max_tokens"}:
            self.say(f"{self.model} does not support max_completion_tokens: sent as max_tokens")
        for name, instead in INSTEAD.items():
            if name in form.without - before.without:
                self.say(f"{self.model} does not support {instead}")
        if form.thinking > before.thinking:
            more = f"its replies may be {form.thinking:,} tokens longer for that"
            self.say(f"{self.model} thinks before it answers: {more}")

    def learn(self, failed: Exchange) -> None:
        """Change the form for all calls at once, if this one failed in the present form; for batches."""
        is_thinking = (failed.error or {}).get("code") == THINKING
        is_present = replace(self.form, thinking=0).adapt(failed).request == failed.request
        if is_present and failed.tags.get("thinking", 0) == self.form.thinking:
            if failed.stage in self.stages and not is_thinking:
                return  # the request itself is at fault
            following = self.following(failed, self.form, failed, {failed.id})
            if following is not None:
                self._adopt(following)

    def verdict(self, stage: str, failure: ServiceError) -> ServiceError:
        """Return what a call that is given up has ended with: its failure.

        Returns a ServiceRefused instead where the first few calls of this stage have all failed in the same way.
        """
        if failure.transient or isinstance(failure, ServiceRefused) or stage in self.stages:
            return failure
        kind = (stage, failure.status, failure.code)
        self._faults[kind] += 1
        if self._faults[kind] < FEW:
            return failure
        text = f"The first {self._faults[kind]} {stage} requests to {self.model} failed alike, and no more are sent"
        return ServiceRefused(f"{text}: {failure}", status=failure.status, code=failure.code)

    def recall(self, log: MessageLog, service: str) -> None:
        """Learn from the log what earlier runs have learned, so that no call is sent in two forms."""
        failures = [failed for failed in log.failures if (failed.service, failed.model) == (service, self.model)]
        refused = {f.stage: f.request for f in reversed(failures) if (f.error or {}).get("status") in ABOUT_FORM}
        for exchange in log if failures else ():
            if (exchange.service, exchange.model) != (service, self.model):
                continue
            form = Form.of(exchange, refused.get(exchange.stage, {}))
            if exchange.error is None and form != Form():
                self.keep(form, exchange.stage)
            elif exchange.error is None:
                self.stages.add(exchange.stage)
            elif exchange.error.get("code") == THINKING:
                self.following(exchange, form, exchange, ())
