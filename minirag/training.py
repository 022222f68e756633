"""From the log to the training file: each answer becomes one chat example, kept or dropped with its reason.

Only what no service would train on is dropped here: answers that were cut off, are empty or too long. Which of the
rest are worth training on is decided by a `review` function; the pipeline passes `curation.review_examples`.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minirag.errors import InputError, MiniragError
from minirag.message_log import MessageLog, write_jsonl
from minirag.prompts import Message
from minirag.text import counted, for_model

FEWEST_EXAMPLES = 10  # no service starts a job with fewer
UNUSABLE = set(
    "length max_tokens model_length content_filter safety refusal error abort tool_calls tool_use function_call".split()
)
"""Finish reasons of replies that are no complete answer; any other (stop, eos, end_turn, none at all) is a good end."""


@dataclass(frozen=True, slots=True)
class Example:
    """One candidate for the training file; `messages` is what its line holds, the reply last.

    `exchange` is the id of its exchange, `chunks` has those of the chunks in its prompt. `dropped` is the reason why it
    stays out, if it does. A review fills in `page`, which the question is about, and `refine`, what a refine step did
    to the answer.
    """

    messages: tuple[Message, ...]
    question: str = ""
    exchange: str = ""
    stage: str = ""
    chunks: tuple[str, ...] = ()
    tokens: int = 0
    dropped: str = ""
    detail: str = ""
    page: tuple[str, int] | None = None
    refine: str | None = None

    @property
    def reply(self) -> str:
        return self.messages[-1]["content"]


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """A written training file: its path and every candidate. At least one is kept."""

    path: Path
    examples: tuple[Example, ...]

    @property
    def kept(self) -> list[Example]:
        """The examples in the file, in its order."""
        return [example for example in self.examples if not example.dropped]

    @property
    def tokens(self) -> int:
        """Tokens of one epoch."""
        return sum(example.tokens for example in self.kept)

    def require(self, fewest: int, error: type[MiniragError] = InputError) -> None:
        """Raise an `error`, with the reasons, if fewer than `fewest` examples are kept."""
        kept = len(self.kept)
        if kept < fewest:
            reasons = self._count("dropped")
            dropped = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
            text = f"{counted(kept, 'training example')} can be kept" + (f" (dropped: {dropped})" if dropped else "")
            remedy = "ask for more --train-questions, add documents, or raise --reply-tokens if answers were cut off"
            raise error(f"{text}, and a job needs at least {fewest}; {remedy}.")

    def report(self, epochs: int | None = None) -> dict[str, Any]:
        """Return what `training_report.json` holds; `epochs` is the user's choice, None the service's default."""
        epochs = epochs or default_epochs(len(self.kept))
        fields = ("exchange", "question", "stage", "tokens", "refine", "dropped", "detail")
        return {
            "kept": len(self.kept),
            "dropped": self._count("dropped"),
            "refine": self._count("refine"),
            "tokens": self.tokens,
            "epochs": epochs,
            "tokens_billed": self.tokens * epochs,
            "examples": [
                {name: getattr(e, name) for name in fields} | {"dropped": e.dropped or None} for e in self.examples
            ],
        }

    def _count(self, field: str) -> dict[str, int]:
        """Return how many examples have each value of a field."""
        return dict(sorted(Counter(value for e in self.examples if (value := getattr(e, field))).items()))


def write_training_file(
    log: MessageLog,
    path: str | os.PathLike[str],
    *,
    stages: Collection[str] = ("draft", "refine"),
    only: Mapping[str, str] | None = None,
    model: str = "gpt-4.1-mini",
    tokenizer: str | None = None,
    review: Callable[[Sequence[Example]], Sequence[Example]] | None = None,
) -> TrainingFile:
    """Write the log's answers as a chat training file, `{"messages": […]}` a line, ordered by question and draft.

    Exchanges of `stages` are used unless their tag `split` names another split than "train"; with `only`, a mapping
    from exchange ids to question ids, exactly those. Tokens are counted for `model`, or with the vocabulary
    `tokenizer`. Without a `review` every complete answer within the model's limit is kept, refusals included.
    Raises InputError if no example is left.
    """
    if only is None:
        only = {e.id: str(e.tags.get("question", "")) for e in log if e.tags.get("split", "train") == "train"}
    answers = [e for e in log if e.id in only and e.stage in stages and e.error is None]
    answers.sort(key=lambda exchange: (only[exchange.id], exchange.tags.get("draft", 1), exchange.id))
    counter, limit = for_model(model, tokenizer), example_limit(model)
    examples: list[Example] = []
    for exchange in answers:
        reply, reason = exchange.text.strip(), str(exchange.finish_reason).lower()
        messages = (*exchange.request["messages"], {"role": "assistant", "content": reply})
        tokens, dropped = counter.count_messages(messages), ""
        if reason in UNUSABLE:
            dropped = f"finish_reason {reason}"
        elif not reply:
            dropped = "empty"
        elif tokens > limit:
            dropped = "over the token limit"
        chunks = tuple(exchange.tags.get("chunks", ()))
        examples.append(Example(messages, only[exchange.id], exchange.id, exchange.stage, chunks, tokens, dropped))
    if review is not None:
        examples = list(review(examples))

    file = TrainingFile(Path(path), tuple(examples))
    file.require(1)
    write_jsonl(file.path, ({"messages": example.messages} for example in file.kept))
    return file


def example_limit(model: str) -> int:
    """Return the tokens of the longest training example; OpenAI cuts the end off a longer one."""
    return 16_385 if re.search(r"\bgpt-3\.?5", model) else 65_536


def default_epochs(n: int) -> int:
    """Return the epochs that OpenAI chooses for n examples: 3, more for few, fewer for very many (its cookbook).

    >>> [default_epochs(n) for n in (0, 1, 10, 33, 34, 8333, 8334, 30_000)]
    [0, 25, 10, 3, 3, 3, 2, 1]
    """
    if 3 * n < 100:
        return min(25, 100 // n) if n else 0
    return max(1, 25_000 // n) if 3 * n > 25_000 else 3
