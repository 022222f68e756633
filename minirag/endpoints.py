"""Files, jobs and batches at a service: calls that are no model's, logged like those and polled for hours.

What creates something is sent once; polls are retried, and a wait outlives an outage of the service.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from minirag.errors import BadReply, ServiceDown, ServiceError
from minirag.message_log import Exchange, MessageLog
from minirag.service import Service

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0
"""Seconds between two polls, growing by half each time."""
LONGEST_OUTAGE = 2 * 3600.0
"""Seconds for which polls may fail before a wait ends."""
_ENDS = {
    "succeeded": "succeeded|success|completed?|finished|done",
    "failed": "failed|failure|error|expired|rejected",
    "cancelled": "cancell?ed|stopped|aborted",
}


def state_of(job: Mapping[str, Any]) -> str:
    """Return the state of a job in OpenAI's words, however the service calls its end.

    >>> [state_of({"status": word}) for word in ("SUCCESS", "FAILED_VALIDATION", "QUEUED")]
    ['succeeded', 'failed', 'queued']
    """
    state = str(job.get("status")).lower()
    return next((end for end, words in _ENDS.items() if re.search(f"(^|_)({words})(_|$)", state)), state)


def read_object(call: Exchange, reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a reply of the files, jobs or batches endpoints. Raises BadReply if it is none."""
    is_list = call.endpoint.endswith((".list", ".events", ".checkpoints"))
    if ("data" if is_list else "id") not in reply:
        raise BadReply(f"{call.service} answered with something that is neither a file nor a job nor a batch.")
    return reply


def send(
    service: Service,
    log: MessageLog | None,
    stage: str,
    endpoint: str,
    request: Mapping[str, Any],
    *,
    tags: Mapping[str, Any] | None = None,
    repeat: int = 0,
    arguments: Mapping[str, Any] | None = None,
    reuse: bool = False,
    retries: bool = True,
) -> Mapping[str, Any]:
    """Return the reply of one call. Polls are sent each time, unless `reuse`, and retried, unless not `retries`; all
    else is sent once."""
    call = Exchange(stage, endpoint, service.name, request, repeat=repeat, tags=tags or {})
    retries = retries and stage == "poll"
    exchange = service.send(call, log, read=read_object, arguments=arguments, retries=retries, reuse=reuse)
    return exchange.response or {}


def is_passing(error: ServiceError) -> bool:
    """Return True if the same call may succeed later."""
    return error.transient or isinstance(error, ServiceDown)


def outlast(poll: Callable[[], T], sleep: Callable[[float], None], longest: float = LONGEST_OUTAGE) -> T:
    """Return what a poll returns, after an outage of the service of at most `longest` seconds."""
    waited, pause = 0.0, FIRST_WAIT
    while True:
        try:
            return poll()
        except ServiceError as error:
            if not is_passing(error) or waited >= longest:
                raise
        sleep(pause)
        waited += pause
        pause = min(LONGEST_WAIT, 2 * pause)


def listed(
    service: Service,
    log: MessageLog | None,
    endpoint: str,
    request: Mapping[str, Any] | None = None,
    *,
    repeat: int = 0,
    reuse: bool = False,
    retries: bool = True,
    is_optional: bool = False,
) -> Iterator[Mapping[str, Any]]:
    """Yield the items of a list, newest first; nothing if there is no such list, or an `is_optional` one is refused."""
    request = {**(request or {}), "limit": 100}
    while True:
        try:
            page = send(service, log, "poll", endpoint, request, repeat=repeat, reuse=reuse, retries=retries)
        except ServiceError as error:
            is_refused = is_optional and not is_passing(error)
            if is_refused or isinstance(error, BadReply) or error.status in {404, 405, 501}:
                return
            raise
        data = page.get("data")
        items = [item for item in data if isinstance(item, Mapping)] if isinstance(data, list) else []
        yield from items
        last = items[-1].get("id") if items else None
        if last is None or not page.get("has_more") or last == request.get("after"):
            return
        request = {**request, "after": last}


def upload(service: Service, log: MessageLog | None, name: str, data: bytes, purpose: str) -> str:
    """Return the id of a file of this name and content at the service: the one in the log, or a new one."""
    request = {"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "purpose": purpose}
    for exchange in log or ():
        is_upload = exchange.endpoint == "files" and exchange.error is None and exchange.service == service.name
        if is_upload and exchange.request == request:
            return str((exchange.response or {})["id"])
    arguments = {"file": (name, data), "purpose": purpose}
    return str(send(service, log, "upload", "files", request, arguments=arguments)["id"])


def unix_time(value: Any) -> float:
    """Return a service's time, a number or ISO text, in seconds since 1970; 0 for anything else.

    >>> unix_time(1755206615), unix_time("2025-08-14T21:23:35Z"), unix_time("soon"), unix_time(None)
    (1755206615.0, 1755206615.0, 0.0, 0.0)
    """
    with suppress(TypeError, ValueError, OverflowError, OSError):
        if isinstance(value, str) and "-" in value:
            moment = datetime.fromisoformat(value)
            value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return datetime.fromtimestamp(float(value), UTC).timestamp()
    return 0.0
