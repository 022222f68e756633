"""What the real service does to fine-tuning jobs, as rules: each refusal in its recorded words, with made-up ids."""

from typing import Any

from faults import Rule


class Clock:
    """A time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def outage(clock: Clock, seconds: float, path: str, **fault: Any) -> Rule:
    """All looks at a job or batch but the first fail, until so much time has passed."""

    class Outage(Rule):
        def is_due(self, number: int, *_: Any) -> bool:
            return number > 1 and clock.now < seconds

    return Outage(method="GET", path=path, **fault)


_CREATE: Any = {"method": "POST", "path": "/fine_tuning/jobs$"}


def lost_reply() -> Rule:
    """The first job is created, and its reply never arrives."""
    return Rule(**_CREATE, last=1, cut=0)


def file_not_ready(times: int) -> Rule:
    """The first creations are refused because the file is still being processed."""
    message = (
        "File 'file-abc123' is still being processed and is not ready to be used for fine-tuning. "
        "Please try again later."
    )
    return Rule(**_CREATE, last=times, status=400, error={"message": message, "param": "training_file"})


def active_job_cap(times: int | None = None) -> Rule:
    """The account has as many active jobs as it may; the reply's type is `invalid_request_error` all the same."""
    message = (
        "This fine-tune request has been rate-limited. Your organization has reached the maximum of 1 active requests "
        "(1 running, 0 pending) for the model 'offline-student'."
    )
    return Rule(**_CREATE, last=times, status=429, error={"message": message, "code": "rate_limit_exceeded"})


def training_not_available() -> Rule:
    """The account may no longer train; said at the creation, after the upload has succeeded."""
    message = "Your organization is not allowed to create fine-tuning jobs: fine-tuning is no longer available."
    return Rule(**_CREATE, status=403, error={"message": message, "code": "training_not_available"})


def job_shows(first: int, last: int | None = None, **fields: Any) -> Rule:
    """The `first` to the `last` look at a job shows these fields; after them it moves on as ever."""
    return Rule(method="GET", path="/fine_tuning/jobs/[^/]+$", first=first, last=last, fields=fields)


def tuned_model_unknown(times: int) -> Rule:
    """The first chats with a tuned model are refused: it is not served yet."""
    message = "The model `ft:offline-student` does not exist or you do not have access to it."
    error = {"message": message, "code": "model_not_found"}
    return Rule(
        method="POST", path="/chat/completions$", holding=r'"model":\s*"ft:', last=times, status=404, error=error
    )
