"""Embedding models: texts in, float32 rows out, in as few calls as the service takes.

A call that fails is divided until its parts succeed. So a service's limit of texts or tokens a call is found out, and
a single text that always fails is named and holds nothing else up.
"""

import base64
import binascii
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minirag.errors import BadReply, InputError, ServiceError, ServiceRefused, TextsRefused
from minirag.message_log import Exchange, MessageLog
from minirag.models import dialect_of
from minirag.retry import in_order
from minirag.service import Service
from minirag.text import encoding

if TYPE_CHECKING:
    from openai import OpenAI

INPUTS_PER_CALL = 256
SIZE_PER_CALL = 200_000
"""Characters, or two thirds of the tokens where these are more: OpenAI takes 300,000 tokens and 2,048 texts a call."""

SHORT = 64
"""Tokens of a text that is never too long."""


class EmbeddingModel:
    """An embedding model. `embed(texts)` returns float32 rows of shape (len(texts), dimensions), in their order.

    `dimensions=None` takes the model's own number; `prefix` is put before each text, for models that want passages or
    queries marked; at most `workers` calls of one `embed` are in flight. `progress` hears what the texts are for (the
    tag "for"), how many of them are done, and how many there are. The other arguments are those of `ChatModel`.
    `inputs_per_call` is the most texts in a call; it becomes smaller if the service takes fewer.
    """

    def __init__(
        self,
        model: str,
        *,
        dimensions: int | None = None,
        prefix: str = "",
        workers: int = 8,
        progress: Callable[[str, int, int], None] = lambda *_: None,
        options: Mapping[str, Any] | None = None,
        log: MessageLog | None = None,
        service: Service | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        client: "OpenAI | None" = None,
    ) -> None:
        self.model = model
        self.dimensions = dimensions
        self.prefix = prefix
        self.workers = workers
        self.progress = progress
        self.options = options or {}
        self.log = log
        self.service = service or Service(base_url, api_key, client=client)
        self.inputs_per_call = INPUTS_PER_CALL
        self._longest = 0  # tokens of the longest text that has been embedded
        self._rescued: dict[str, NDArray[np.float32]] = {}  # vectors of texts that were embedded beside a refused one
        self._too_large: set[str] = set()  # ids of calls with several texts that have failed in earlier runs
        self._refused: dict[str, ServiceError] = {}  # why texts fail alone, by the id of that call
        self._read_log()

    def _read_log(self) -> None:
        """Learn from the failures of earlier runs what `_divide` would have to find out again."""
        failures: list[Exchange] = []
        for failed in () if self.log is None else self.log.failures:
            is_own = (failed.endpoint, failed.service, failed.model) == ("embeddings", self.service.name, self.model)
            error = failed.error or {}
            is_passing = error.get("status") in (401, 402, 404, 429) or (
                not error.get("status") and not failed.response and error.get("type") != BadReply.__name__
            )
            if is_own and not is_passing and not self._is_logged(failed):
                failures.append(failed)
        alone = {failed.request["input"][0]: failed for failed in failures if len(failed.request["input"]) == 1}
        several = sorted((f for f in failures if len(f.request["input"]) > 1), key=lambda f: len(f.request["input"]))
        for failed in several:
            inputs = failed.request["input"]
            self._too_large.add(failed.id)
            if alone.keys().isdisjoint(inputs):
                self.inputs_per_call = min(self.inputs_per_call, _half(len(inputs)))
        for text, failed in alone.items():  # it is the text's own fault where one beside it has succeeded alone
            beside: list[str] = next((f.request["input"] for f in several if text in f.request["input"]), [])
            if any(self._is_logged(self._call([other], {"stage": failed.stage})) for other in beside if other != text):
                error = failed.error or {}
                self._refused[failed.id] = ServiceError(str(error.get("message")), status=error.get("status"))

    def embed(
        self, texts: Sequence[str], *, stage: str = "embed", tags: Mapping[str, Any] | None = None
    ) -> NDArray[np.float32]:
        """Return the vectors of `texts`, as many a call as the service takes, from the log if they are there.

        Raises TextsRefused once all others are embedded if some texts fail whatever is done; the vectors of the others
        are then kept, so that asking for these alone sends nothing. Raises InputError if the texts are longer than the
        model takes, ServiceError, and BadReply for vectors that are missing, uneven, or no numbers.
        """
        if self._rescued and all(text in self._rescued for text in texts):
            return np.stack([self._rescued[text] for text in texts])
        batches = _batches([self.prefix + text for text in texts])
        divide, results = partial(self._divide, about={"stage": stage, "tags": tags or {}}), []
        for part in in_order(divide, batches, self.workers):
            results += part
            if tags and "for" in tags:
                self.progress(tags["for"], len(results), len(texts))
        rows = dict(enumerate(results))
        refused = {texts[place]: row for place, row in rows.items() if isinstance(row, ServiceError)}
        good = {place: row for place, row in rows.items() if not isinstance(row, ServiceError)}
        if len({len(row) for row in good.values()}) > 1:
            raise BadReply(f"{self.service.address} returned vectors of different lengths for one model.")
        if refused and not good:
            raise next(iter(refused.values()))
        if refused:
            self._rescued |= {texts[place]: row for place, row in good.items()}
            raise TextsRefused(self.model, refused)
        return np.stack([*good.values()]) if good else np.empty((0, self.dimensions or 0), np.float32)

    def _divide(self, batch: Sequence[str], about: Mapping[str, Any]) -> list[NDArray[np.float32] | ServiceError]:
        """Return the vector of each text of `batch`, or why it has none, in one call or in as many as it takes."""
        results: list[Any] = [None] * len(batch)
        failed: list[range] = []
        limit = self.inputs_per_call
        pending = deque([range(len(batch))])
        while pending:  # both halves of a part before their halves: a service that takes one of them is not down
            part = pending.popleft()
            call = self._call(batch[part.start : part.stop], about)
            if len(part) == 1 and (known := self._refused.get(self._id(call))):
                results[part.start] = known
                continue
            if len(part) == 1 or len(part) <= limit or self._is_logged(call):
                try:
                    if self._id(call) not in self._too_large:
                        results[part.start : part.stop] = self._send(call)
                        continue
                except ServiceError as error:
                    is_refusal = isinstance(error, ServiceRefused) and error.status != 403
                    if is_refusal or error.status == 429:  # no other call would fare better
                        raise
                    if len(part) == 1:
                        results[part.start] = error
                        settled = [row for row in results if row is not None]
                        if len(settled) > 1 and all(isinstance(row, ServiceError) for row in settled):
                            self._require_length(batch[part.start], about, error)
                            raise  # the first and the last text fail, too: it is not a matter of single texts
                        continue
                if not failed:
                    pending += (range(1), range(len(batch) - 1, len(batch)))
                if any(len(other) <= len(part) for other in failed):  # most likely a limit
                    limit = _half(len(part))
                failed.append(part)
            middle = part.start + _half(len(part))
            pending += (range(part.start, middle), range(middle, part.stop))
        alone = {place: row for place, row in enumerate(results) if isinstance(row, ServiceError)}
        for place, reason in alone.items():
            self._require_length(batch[place], about, reason)
        sizes = [len(part) for part in failed if alone.keys().isdisjoint(part)]
        if sizes:
            self.inputs_per_call = min(self.inputs_per_call, _half(min(sizes)))
            self.service.say_once(f"{self.model}: {self.inputs_per_call} texts a call, more are refused")
        return results

    def _is_logged(self, call: Exchange) -> bool:
        ids = dialect_of(self.model, self.service, self.log).variants(call)
        return self.log is not None and any(map(self.log.find, ids))

    def _id(self, call: Exchange) -> str:
        """Return the id of a call as it is sent."""
        return dialect_of(self.model, self.service, self.log).adapt(call).id

    def _require_length(self, text: str, about: Mapping[str, Any], error: ServiceError) -> None:
        """Raise InputError if a text fails for its length: no text as long has succeeded, and all its pieces do."""
        tokens, fit = encoding("o200k_base").count(text), 0  # as chunks are counted
        if error.status == 403 or tokens <= max(SHORT, self._longest):
            return
        with suppress(ServiceError):
            for number in (16, 8, 4, 2):
                size = -(-len(text) // number)
                for start in range(0, len(text), size):
                    self._send(self._call([text[start : start + size]], about))
                fit = self._longest
        if fit:
            raise InputError(
                f"{self.model} takes no text of {tokens} tokens ({str(error).rstrip('.')}), but {fit} tokens are no "
                f"problem: take --chunk-size {max(16, fit)}, and as --chunk-overlap a half of it at most."
            )

    def _call(self, texts: Sequence[str], about: Mapping[str, Any]) -> Exchange:
        """Return the call that embeds `texts`, with the stage and the tags that it is about."""
        request: dict[str, Any] = {"model": self.model, "input": list(texts), "encoding_format": "base64"}
        if self.dimensions is not None:
            request["dimensions"] = self.dimensions
        request |= self.options
        return Exchange(endpoint="embeddings", service=self.service.name, request=request, **about)

    def _send(self, call: Exchange) -> NDArray[np.float32]:
        """Return the vectors of a call. Raises ServiceError."""
        dialect = dialect_of(self.model, self.service, self.log)
        exchange = self.service.send(call, self.log, dialect=dialect, read=read_embeddings)
        counts = list(map(encoding("o200k_base").count, call.request["input"]))
        self._longest = max(self._longest, *counts)
        read = exchange.usage.get("prompt_tokens")
        if isinstance(read, int) and 0 < read < sum(counts) / 2:
            self.service.say_once(
                f"warning: {self.model} reads only the beginning of long texts; take a smaller --chunk-size, or give "
                "its server a longer context (Ollama: OLLAMA_CONTEXT_LENGTH or num_ctx), and start in a new folder"
            )
        return vectors(exchange.response or {}, len(counts))


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in runs of as many as one call takes."""
    start = size = 0
    for end, text in enumerate(texts):
        # an ASCII text has no more tokens than characters; OpenAI's embedding models use cl100k_base
        own = len(text) if text.isascii() else max(len(text), 2 * encoding("cl100k_base").count(text) // 3)
        if end > start and (end - start == INPUTS_PER_CALL or size + own > SIZE_PER_CALL):
            yield texts[start:end]
            start, size = end, 0
        size += own
    if texts:
        yield texts[start:]


def _half(number: int) -> int:
    """Return the largest power of two below `number`: parts of these sizes have the same borders in every run."""
    return int(1 << (number - 1).bit_length() - 1)


def read_embeddings(call: Exchange, reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an embeddings reply with each vector in base64, as the log keeps it. Raises BadReply."""
    vectors(reply, len(call.request["input"]))
    return {**reply, "data": [{**item, "embedding": _base64(item["embedding"])} for item in reply["data"]]}


def vectors(response: Mapping[str, Any], count: int) -> NDArray[np.float32]:
    """Return the rows of an embeddings reply in the order of its inputs: float32, shape (count, dimensions).

    Raises BadReply for a reply that is incomplete, uneven, or holds anything but finite numbers.

    >>> vectors({"data": [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}]}, 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    try:
        items = response["data"]
        places = [int(item.get("index") or 0) for item in items]  # some services leave the index out, or 0
        if any(places):
            items = [item for _, item in sorted(zip(places, items, strict=True), key=lambda pair: pair[0])]
        if len(items) != count or (any(places) and sorted(places) != list(range(count))):
            raise BadReply(f"The service returned {len(items)} vectors for {count} texts.", transient=True)
        rows = [np.frombuffer(base64.b64decode(_base64(item["embedding"]), validate=True), "<f4") for item in items]
        matrix = np.stack(rows).astype(np.float32)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, binascii.Error):
        raise BadReply("The service returned embeddings that cannot be read.", transient=True) from None
    if matrix.shape[1] == 0 or not np.isfinite(matrix).all():
        raise BadReply("The service returned embeddings that are not finite numbers.", transient=True)
    return matrix


def _base64(embedding: str | Sequence[float]) -> str:
    if isinstance(embedding, str):
        return embedding
    return base64.b64encode(np.asarray(embedding, "<f4").tobytes()).decode()
