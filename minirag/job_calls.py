"""Row 6. The calls behind jobs and batches: what creates something is sent once, what only looks is tried again.

Each is logged like any other exchange, so a job is found again after a crash, and its refusals have clear outcomes.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from minirag.errors import BadReply, JobError, JobUnfinished, ServiceError, ServiceRefused, TrainingNotAvailable
from minirag.message_log import Exchange, MessageLog, exchange_id
from minirag.service import Service, utc_now

FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0
PAGE = 100
LOOKING_BACK = -1
"""The repeat number of the one look at the events of a job that has ended."""
FILE_WAITS = 20
"""Tries to create a job whose file the service is still processing: about seven minutes."""
CLOSED = (
    "{address} no longer trains models for this account. OpenAI takes no jobs of organisations that never tuned a "
    "model since 2026-05-07, of those without recent use since 2026-07-02, and of anyone from 2027-01-06 (check the "
    "provider's page): train on {file} elsewhere, then run again with --tuned MODEL --tuned-base-url URL."
)


class JobCalls:
    """The files and jobs endpoints of `service`, logged in `log`."""

    def __init__(self, service: Service, log: MessageLog | None) -> None:
        self.service = service
        self.log = log

    def send(
        self,
        stage: str,
        endpoint: str,
        request: Mapping[str, Any],
        call: Callable[[Any, Mapping[str, Any]], Any],
        *,
        tags: Mapping[str, Any] | None = None,
        repeat: int = 0,
    ) -> dict[str, Any]:
        """The raw reply; polls are tried again, everything that creates something is sent once."""
        attempt = 0
        while True:
            attempt += 1
            begun = Exchange(stage, endpoint, self.service.name, request, None, None, repeat, tags or {}, utc_now())
            exchange, failure = self._logged(begun, lambda client: call(client, request))
            if failure is None:
                return dict(exchange.response or {})
            if stage != "poll" or not failure.transient or not self.service.retry.after_failure(attempt, failure.wait):
                raise failure

    def _logged(self, call: Exchange, send: Callable[[Any], Any]) -> tuple[Exchange, ServiceError | None]:
        """Make one attempt at a call, and log what came of it."""
        if self.log is None or self.service.replay is not None:
            return self.service.attempt(call, send, self._check)
        with self.log.sending(call):
            exchange, failure = self.service.attempt(call, send, self._check)
            self.log.append(exchange)
        return exchange, failure

    def _check(self, reply: Mapping[str, Any]) -> None:
        if "id" not in reply and "data" not in reply:
            raise BadReply(
                f"{self.service.address} answered with something that is neither a file nor a job nor a batch."
            )

    def retrieve(self, id: str, repeat: int = 0) -> dict[str, Any]:
        """The job's state now."""
        return self.send(
            "poll",
            "fine_tuning.jobs.retrieve",
            {"fine_tuning_job_id": id},
            lambda client, sent: client.fine_tuning.jobs.with_raw_response.retrieve(**sent),
            repeat=repeat,
        )

    def cancel(self, id: str) -> dict[str, Any]:
        """The job's state after it was asked to stop."""
        return self.send(
            "train",
            "fine_tuning.jobs.cancel",
            {"fine_tuning_job_id": id},
            lambda client, sent: client.fine_tuning.jobs.with_raw_response.cancel(**sent),
        )

    def events(self, id: str, repeat: int = 0) -> Iterator[dict[str, Any]]:
        """The job's events, newest first, page by page as they are asked for."""
        return self._pages(
            "fine_tuning.jobs.events",
            {"fine_tuning_job_id": id},
            lambda client, sent: client.fine_tuning.jobs.with_raw_response.list_events(**sent),
            repeat,
        )

    def look_back(self, id: str) -> None:
        """Have the log hold all events of a job that has ended, once: what it told while nobody looked is there too."""
        request = {"fine_tuning_job_id": id, "limit": PAGE}
        known = exchange_id(self.service.name, "fine_tuning.jobs.events", request, LOOKING_BACK)
        if self.log is None or self.log.find(known) is not None:
            return
        with suppress(ServiceError):  # a service need not tell
            deque(self.events(id, LOOKING_BACK), maxlen=0)

    def checkpoints(self, id: str) -> Iterator[dict[str, Any]]:
        """The models that the job has saved on its way, newest first."""
        return self._pages(
            "fine_tuning.jobs.checkpoints",
            {"fine_tuning_job_id": id},
            lambda client, sent: client.fine_tuning.jobs.checkpoints.with_raw_response.list(**sent),
        )

    def jobs(self) -> Iterator[dict[str, Any]]:
        """The jobs of the account, newest first; none where the service cannot list them."""
        return self.listed("fine_tuning.jobs.list", {}, lambda client: client.fine_tuning.jobs)

    def listed(self, endpoint: str, request: Mapping[str, Any], of: Callable[[Any], Any]) -> Iterator[dict[str, Any]]:
        """What the service lists of a kind, the newest first; nothing where it cannot list."""
        try:
            yield from self._pages(endpoint, request, lambda client, sent: of(client).with_raw_response.list(**sent))
        except ServiceError as error:
            # a service that lists none may still train: creating says so if it does not
            if not isinstance(error, BadReply) and error.status not in {404, 405, 501}:
                raise

    def _pages(
        self,
        endpoint: str,
        request: Mapping[str, Any],
        call: Callable[[Any, Mapping[str, Any]], Any],
        repeat: int = 0,
    ) -> Iterator[dict[str, Any]]:
        request = {**request, "limit": PAGE}
        while True:
            page = self.send("poll", endpoint, request, call, repeat=repeat)
            items = page.get("data") or []
            yield from items
            last = items[-1].get("id") if items else None
            if last is None or not page.get("has_more") or last == request.get("after"):
                return
            request = {**request, "after": last}

    def upload(self, path: Path, data: bytes, digest: str) -> str:
        """The id of a file with this content at the service: the one in the log, one whose reply was lost, or a new."""
        for exchange in self.log or ():
            if self._is_done(exchange, "upload") and exchange.request.get("sha256") == digest:
                return str((exchange.response or {})["id"])
        name = f"{path.stem}-{digest[:16]}{path.suffix}"  # by its name it is found again
        if self.log is not None:
            self.log.recover()
            if any(lost.request.get("sha256") == digest for lost in self.log.failures() if lost.interrupted):
                for file in self.listed("files.list", {"purpose": "fine-tune"}, lambda client: client.files):
                    if file.get("filename") == name:
                        return str(file["id"])
        return self.put(name, data, digest, "fine-tune")

    def put(self, name: str, data: bytes, digest: str, purpose: str) -> str:
        """The id of a new file at the service."""
        reply = self.send(
            "upload",
            "files",
            {"file": name, "bytes": len(data), "sha256": digest, "purpose": purpose},
            lambda client, _: client.files.with_raw_response.create(file=(name, data), purpose=purpose),
        )
        return str(reply["id"])

    def logged(self, identity: str) -> Mapping[str, Any] | None:
        """The last state that the log holds of the newest job of that identity."""
        state: Mapping[str, Any] | None = None
        for exchange in self.log or ():
            if not self._is_done(exchange, "train", "poll"):
                continue
            reply = exchange.response or {}
            if exchange.tags.get("identity") == identity or (state is not None and reply.get("id") == state["id"]):
                state = reply
        return state

    def newest(self) -> Mapping[str, Any] | None:
        """The last state that the log holds of the job that was created or looked at last, ended or not."""
        states = (
            exchange.response or {}
            for exchange in self.log or ()
            if self._is_done(exchange, "train", "poll")
            and exchange.endpoint.startswith("fine_tuning.")
            and "status" in (exchange.response or {})
        )
        return next(iter(deque(states, maxlen=1)), None)

    def _is_done(self, exchange: Exchange, *stages: str) -> bool:
        return exchange.stage in stages and exchange.error is None and exchange.service == self.service.name

    def create(self, request: Mapping[str, Any], identity: str, file: Path) -> dict[str, Any]:
        """Start a job; only a file that is not ready yet is waited for, with a limit."""
        for attempt in range(FILE_WAITS):
            try:
                return self.send(
                    "train",
                    "fine_tuning.jobs",
                    request,
                    lambda client, sent: client.fine_tuning.jobs.with_raw_response.create(**sent),
                    tags={"identity": identity},
                    repeat=attempt,
                )
            except ServiceError as error:
                if error.status != 400 or "not ready" not in str(error):
                    raise self._outcome(error, str(request["model"]), file) from error
                self.service.retry.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))
        raise JobUnfinished(f"{self.service.address} is still processing {file.name}; run again later.")

    def _outcome(self, error: ServiceError, base: str, file: Path) -> Exception:
        """What a refusal to create a job means for the user."""
        address, said = self.service.address, str(error).rstrip(".")
        if error.code == "training_not_available":
            return TrainingNotAvailable(CLOSED.format(address=address, file=file.name))
        if error.status == 429 and not isinstance(error, ServiceRefused):
            return JobUnfinished(f"No further job can start now, wait for another to end or cancel it: {said}.")
        if error.code in {"model_not_available", "model_not_found"} or error.status == 404:
            return JobError(f"{base} cannot be tuned at {address}, name another --student: {said}.")
        if error.status in {400, 422}:
            return JobError(f"The service refuses this job: {said}.")
        return error
