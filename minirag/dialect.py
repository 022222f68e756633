"""How one model at one service takes its requests: which parameters, in which form, with how much room to think.

Nothing hangs on the words of one vendor. A reply of 400 that names a parameter in any spelling leads to the next form
of that one thing, and a 400 that names nothing to the plainest form of the request. Only a form that works is kept.
A model that spends its reply on thinking gets an allowance on top of the reply's limit.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from minirag.errors import FINAL, THINKING, ServiceError, ServiceRefused
from minirag.message_log import Exchange, MessageLog
from minirag.prompts import Message, with_shape

FORMATS = ("json_schema", "json_object", "text")
LIMITS = ("max_tokens", "max_completion_tokens")
OPTIONAL = ("temperature", "prompt_cache_key", "encoding_format", "dimensions")
"""What minirag adds to a request and can do without."""
FIRST_THINKING, MOST_THINKING = 4096, 32_768
"""Tokens for thinking that a model gets at first, doubled up to the second number."""
ABOUT_FORM = (400, 422, 500, 501)
"""Statuses that may mean that a service does not take a request's form."""
FEW = 5
"""Failures of one kind that stop a stage, if none of its calls to a model has succeeded."""
_NAMES = {
    "limit": r"max(completion|output|new)?tokens",
    "temperature": "temperature",
    "format": "responseformat|json(schema|object|mode)|structuredoutput|guideddecoding",
    "system": r"system(role|message|prompt|instruction)|role(s)?(of)?system|developerinstruction|rolesmustalternate",
    "prompt_cache_key": "promptcachekey",
    "encoding_format": "encodingformat|base64",
    "dimensions": "dimensions|matryoshka",
}
"""What names a part of a request, in lower case without spaces and punctuation."""
_TOO_LONG = re.compile("contextlength|contextwindow|contextsize|toolong|exceeds|toolarge")


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write requests: the default is what plain OpenAI-like services take.

    `limit` is the name of the reply's limit, `thinking` the tokens added to it, `format` an index into `FORMATS`,
    `dropped` the optional parameters that are left out. With `system=False` the system text opens the user message.
    """

    limit: str = "max_tokens"
    format: int = 0
    system: bool = True
    base64: bool = True
    dropped: frozenset[str] = frozenset()
    thinking: int = 0

    def adapt(self, call: Exchange) -> Exchange:
        """Return the call with its request in this form."""
        request, tags = dict(call.request), call.tags
        for name in self.dropped:
            request.pop(name, None)
        if "max_tokens" in request:
            request[self.limit] = request.pop("max_tokens") + self.thinking
            tags = {**tags, "thinking": self.thinking} if self.thinking else tags
        if not self.base64 and "encoding_format" in request:
            request["encoding_format"] = "float"
        response_format = request.get("response_format") or {}
        if self.format and response_format.get("type") == "json_schema":
            request["messages"] = with_shape(request["messages"], response_format["json_schema"]["schema"])
            del request["response_format"]
            if FORMATS[self.format] == "json_object":
                request["response_format"] = {"type": "json_object"}
        if not self.system and "messages" in request:
            request["messages"] = system_inside(request["messages"])
        return call if request == call.request else replace(call, request=request, tags=tags, id="")

    def differences(self, other: "Form", model: str) -> Iterator[str]:
        """Yield a sentence for each thing that the model takes in this form and not in the `other`."""
        if self.limit != other.limit:
            yield f"{model} does not support {other.limit}: sent as {self.limit}"
        for name in sorted(self.dropped - other.dropped):
            yield f"{model} does not support {name}: left out"
        if self.format > other.format:
            yield f"{model} does not support {FORMATS[other.format]}: asked for {FORMATS[self.format]} instead"
        if self.base64 < other.base64:
            yield f"{model} does not support base64: asked for float instead"
        if self.system < other.system:
            yield f"{model} does not support the system role: its text opens the user message"
        if self.thinking > other.thinking:
            yield f"{model} thinks before it answers: its replies may be {self.thinking:,} tokens longer for that"


def system_inside(messages: list[Message]) -> list[Message]:
    """Return the messages with the system text at the beginning of the user message."""
    if len(messages) < 2 or messages[0]["role"] != "system":
        return messages
    system, user, *rest = messages
    return [{**user, "content": f"{system['content']}\n\n{user['content']}"}, *rest]


class ModelDialect:
    """The forms in which one model at one service has answered, the newest last, and what it failed at.

    A call tries further forms on its own (`following`), and the one that works becomes everybody's (`keep`): a request
    that is at fault itself changes nothing for others. Earlier forms stay known, because the log holds calls in them.
    `stages` are those that the model has answered, `failed` its failures in the log of earlier runs; `say` hears each
    change.
    """

    def __init__(self, model: str, form: Form, most_thinking: int = MOST_THINKING) -> None:
        self.model = model
        self.forms = [form]
        self.most_thinking = most_thinking
        self.stages: set[str] = set()
        self.failed: list[Exchange] = []
        self.say: Callable[[str], None] = lambda _: None
        self._faults: Counter[tuple[str, Any, Any]] = Counter()
        self._lock = threading.Lock()

    @property
    def form(self) -> Form:
        """The form that new calls have."""
        return self.forms[-1]

    def adapt(self, call: Exchange) -> Exchange:
        """Return the call in the present form."""
        return self.form.adapt(call)

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
            self._adopt(replace(self.form, thinking=max(self.form.thinking, self._more_thinking(form))))
        candidates = [self.form]
        if error.get("status") in ABOUT_FORM:
            candidates += self._alternatives(form, failed)
        return next((candidate for candidate in candidates if candidate.adapt(call).id not in tried), None)

    def _more_thinking(self, form: Form) -> int:
        return min(self.most_thinking, max(FIRST_THINKING, 2 * form.thinking))

    def _alternatives(self, form: Form, failed: Exchange) -> Iterator[Form]:
        """Yield the next form of each thing that an error names, in the order named, then the plainest form."""
        error, request = failed.error or {}, failed.request
        words = re.sub(r"[^a-z0-9]", "", f"{error.get('param')} {error.get('message')}".lower())
        places = {part: match.start() for part, names in _NAMES.items() if (match := re.search(names, words))}
        is_too_long = _TOO_LONG.search(words) is not None
        less_thinking = replace(form, thinking=form.thinking // 2 if form.thinking > FIRST_THINKING // 4 else 0)
        if form.thinking and is_too_long:
            yield less_thinking
        for part in sorted(places, key=lambda part: places[part]):
            if part == "limit" and not is_too_long:
                yield replace(form, limit=LIMITS[1 - LIMITS.index(form.limit)])
            elif part == "format" and "response_format" in request:
                yield replace(form, format=form.format + 1)
            elif part == "system" and any(message["role"] == "system" for message in request.get("messages", ())):
                yield replace(form, system=False)
            elif part == "encoding_format" and request.get(part) == "base64":
                yield replace(form, base64=False)
            elif part in OPTIONAL and part in request:
                yield replace(form, dropped=form.dropped | {part})
        if form.thinking and "limit" in places:
            yield less_thinking
        is_decided = is_too_long or error.get("code") in FINAL or failed.stage in self.stages
        if error["status"] in (400, 422) and not is_decided:
            yield replace(form, format=2, system=False, base64=False, dropped=frozenset(OPTIONAL))

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
        for sentence in form.differences(before, self.model):
            self.say(sentence)

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
        self.failed = [e for e in log.failures if (e.service, e.model) == (service, self.model)]
        errors = [(e, e.error or {}) for e in self.failed]
        lessons = [e for e, error in errors if error.get("status") in ABOUT_FORM or error.get("code") == THINKING]
        first = {e.stage: e.request for e in reversed(lessons)}
        for exchange in log if first else ():
            if exchange.stage not in first or (exchange.service, exchange.model) != (service, self.model):
                continue
            form = self._form_of(exchange, first[exchange.stage])
            if exchange.error is None:
                self.keep(form, exchange.stage)
            elif exchange.error.get("code") == THINKING:
                self.following(exchange, form, exchange, ())

    def _form_of(self, exchange: Exchange, first: Mapping[str, Any]) -> Form:
        """Return the form of a logged request, seen against the `first` request of its stage that failed."""
        request, form = exchange.request, self.form
        dropped = form.dropped | {name for name in OPTIONAL if name in first and name not in request}
        form = replace(form, dropped=dropped, thinking=exchange.tags.get("thinking", 0))
        form = replace(form, limit=next((name for name in LIMITS if name in request), form.limit))
        if "response_format" in first:
            kind = (request.get("response_format") or {}).get("type", "text")
            form = replace(form, format=FORMATS.index(kind) if kind in FORMATS else form.format)
        if any(message["role"] == "system" for message in first.get("messages", ())):
            form = replace(form, system=request["messages"][0]["role"] == "system")
        if first.get("encoding_format") == "base64" and "encoding_format" in request:
            form = replace(form, base64=request["encoding_format"] == "base64")
        return form
