"""Row 1. Every failure that minirag raises on purpose, and the exit code each one means.

    MiniragError                    1
    ├── InputError                  2   what the caller gave cannot be used; nothing was sent
    │   ├── DocumentError           2   a document cannot be read
    │   ├── WindowTooSmall          2   a prompt does not fit the window
    │   ├── LogError                2   the message log is damaged or in use
    │   ├── NotRecorded             2   a replay was asked for something that its log does not hold
    │   └── StoreError              2   an index is damaged or belongs to another model
    ├── ServiceError                3   a model service failed; a later attempt may succeed
    │   ├── BadReply                3   it answered 200 with something that is no answer
    │   └── ServiceRefused          2   key, quota, model or address: fails until the user changes something
    │       └── ServiceDown         3   it failed so often in a row that nothing more is sent for now
    ├── JobError                    2   the fine-tuning job cannot give a model
    │   ├── TrainingNotAvailable    2   the service no longer trains models
    │   └── JobUnfinished           3   there may be a model later
    ├── Unfinished                  3   part of the work is done and kept; run again to resume
    ├── Waiting                     3   a reply comes with a batch: whoever collects batches asks again then
    └── BudgetReached               4   the money cap refused a call

Each message is one sentence that says what to do; NotRecorded's goes on with a diff. Anything else that escapes is a
bug (exit code 1).
"""


class MiniragError(Exception):
    """Root of the tree above; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(MiniragError):
    """What the caller gave cannot be used; nothing was sent."""

    exit_code = 2


class DocumentError(InputError):
    """A document cannot be read, or holds no text."""


class WindowTooSmall(InputError):
    """A prompt and its reserved reply do not fit the window, however little context is given."""


class LogError(InputError):
    """The message log is damaged; the text names the line."""


class NotRecorded(InputError):
    """A replay was asked for something that its log does not hold; the text shows the difference."""


class StoreError(InputError):
    """An index is damaged, or was made by another embedding model."""


class ServiceError(MiniragError):
    """A model service failed.

    `status`, `code` and `param` are what it said, if it said anything; `transient` tells whether the same call
    may succeed when it is sent again, and `wait` how many seconds the service asked for.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        transient: bool = False,
        wait: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.transient = transient
        self.wait = wait


class BadReply(ServiceError):
    """The service answered 200 with something that is no answer."""


class ServiceRefused(ServiceError):
    """Key, quota, model or address: the same call fails until the user changes something."""

    exit_code = 2


class ServiceDown(ServiceRefused):
    """The service failed so often in a row that nothing more is sent to it for now; running again later resumes."""

    exit_code = 3


class JobError(MiniragError):
    """The fine-tuning job failed, was cancelled, or has no model yet."""

    exit_code = 2


class TrainingNotAvailable(JobError):
    """The service no longer trains models for this account."""


class JobUnfinished(JobError):
    """The job has not ended, or cannot start now: a later run may have its model."""

    exit_code = 3


class Unfinished(MiniragError):
    """Part of the work failed; everything finished is kept, and running again resumes."""

    exit_code = 3


class Waiting(MiniragError):
    """No failure: the request is noted for a batch, and asking again after that batch gives the reply."""

    exit_code = 3


class BudgetReached(MiniragError):
    """The money cap refused the next call; everything finished is kept."""

    exit_code = 4
