"""Row 6. From the log to a training file that a service will accept: every candidate kept or dropped, and why."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minirag.curation.curate import Candidate, Finding, curate
from minirag.curation.holdout import hold_out
from minirag.curation.prompt_parts import Parts, parts
from minirag.curation.refinement import PARAPHRASE, classify
from minirag.errors import InputError
from minirag.files import write_jsonl
from minirag.message_log import Exchange, MessageLog
from minirag.prompts import NOT_STATED
from minirag.text import Tokenizer, example_limit, for_model
from minirag.training_file import Example, Origin, TrainingFile


def write_training_file(
    log: MessageLog,
    path: str | os.PathLike[str],
    *,
    stages: Collection[str] = ("draft", "refine"),
    split: str = "train",
    only: Mapping[str, str] | None = None,
    origin: Callable[[str, Exchange], Origin] | None = None,
    model: str = "gpt-4.1-mini",
    tokenizer: str | None = None,
    keep_all: bool = False,
    abstain_share: float = 0.0,
    idle_refines: str = "drop",
    same_system: bool = True,
    validation_share: float = 0.0,
    prompt_completion: bool = False,
) -> TrainingFile:
    """Write the log's answers as a chat training file, `{"messages": […]}` a line, ordered by question and draft.

    Taken are exchanges of `stages` whose `split` tag is `split` or missing; or, with `only`, exactly those whose ids
    it maps to the ids of their questions. Left out, each with its reason: cut-off and empty replies, examples over the
    token limit of `model` (counted with `tokenizer`, or its own), those that `origin(question id, exchange)`
    calls a leak, and what `curation.curate` finds; with `keep_all` only what no service would accept.

    `abstain_share` of the examples may be right refusals (`NOT_STATED` where the page asked about was not shown).
    `idle_refines="verbatim"` trains on the earlier answer, word for word, where a refine step added nothing.
    `same_system` gives all rows the commonest system message, also those sent without one. `validation_share` of the
    examples go to `training.validation.jsonl`, with no page in both. `prompt_completion` writes the same once more
    in the form `{"prompt": […], "completion": […]}`, by which TRL masks, to `training.prompt-completion.jsonl`.
    Raises InputError where nothing is left.
    """
    counter, limit = for_model(model, tokenizer), example_limit(model)
    examples = [_unacceptable(example) for example in _candidates(log, stages, split, only, origin)]
    if not keep_all:
        examples = _curated(examples, idle_refines)
        examples = _with_refusals(examples, abstain_share)
    if same_system:
        examples = _with_one_system(examples)
    examples = [_measured(example, counter, limit) for example in examples]
    if validation_share:
        examples = _held_out(examples, validation_share)
    file = TrainingFile(Path(path), tuple(examples), _sibling(Path(path), "validation") if validation_share else None)
    if not file.kept:
        raise InputError(
            f"None of {len(examples)} answers can be trained on ({_reasons(examples)}); collect more answers."
        )
    _write(file, prompt_completion)
    return file


def _candidates(
    log: MessageLog,
    stages: Collection[str],
    split: str,
    only: Mapping[str, str] | None,
    origin: Callable[[str, Exchange], Origin] | None,
) -> list[Example]:
    chosen = [
        (str(exchange.tags.get("question", "")) if only is None else only[exchange.id], exchange)
        for exchange in log
        if exchange.stage in stages
        and exchange.error is None
        and _is_of_texts(exchange)
        and (exchange.tags.get("split", split) == split if only is None else exchange.id in only)
    ]
    chosen.sort(key=lambda pair: (pair[0], pair[1].draft, pair[1].id))
    return [
        Example(
            question,
            exchange,
            (*exchange.request["messages"], {"role": "assistant", "content": exchange.text.strip()}),
            _shown_in(exchange) if origin is None else origin(question, exchange),
        )
        for question, exchange in chosen
    ]


def _is_of_texts(exchange: Exchange) -> bool:
    """Whether a request is made of plain text messages, as all of minirag's own are."""
    messages = exchange.request.get("messages") or [{}]
    return all(isinstance(message.get(key), str) for message in messages for key in ("role", "content"))


def _shown_in(exchange: Exchange) -> Origin:
    """What the prompt itself says of its pages."""
    return Origin(shown=frozenset(("", page) for page in _prompt(exchange).pages))


def _prompt(exchange: Exchange) -> Parts:
    return parts(exchange.request["messages"])


def _unacceptable(example: Example) -> Example:
    """What no service would take, or no one should train on: cut off, held back, empty."""
    if example.exchange.finish_reason != "stop":
        return replace(example, dropped=f"finish_reason {example.exchange.finish_reason}")
    return example if example.reply else replace(example, dropped="empty")


def _curated(examples: Sequence[Example], idle_refines: str) -> list[Example]:
    """Leaks dropped first, then whatever `curate` finds among the rest."""
    verbatim = idle_refines == "verbatim"
    examples = [replace(e, dropped=e.dropped or e.origin.leak) for e in examples]
    if verbatim:
        examples = [_kept_verbatim(example) for example in examples]
    rest = [example for example in examples if not example.dropped]
    candidates = [Candidate(_prompt(e.exchange), e.reply, e.origin.page) for e in rest]
    findings = iter(curate(candidates, keep_idle=verbatim))
    return [e if e.dropped else _judged(e, next(findings)) for e in examples]


def _kept_verbatim(example: Example) -> Example:
    """A refine step that only paraphrased, with the earlier answer as its reply."""
    prompt = _prompt(example.exchange)
    if example.dropped or prompt.existing is None:
        return example
    if classify(prompt.existing, example.reply, prompt.question, prompt.context) != PARAPHRASE:
        return example
    reply = {"role": "assistant", "content": prompt.existing.strip()}
    return replace(example, messages=(*example.messages[:-1], reply), detail="the earlier answer word for word")


def _judged(example: Example, finding: Finding) -> Example:
    return replace(example, dropped=finding.reason, detail=finding.detail or example.detail, refine=finding.refine)


def _with_refusals(examples: Sequence[Example], share: float) -> list[Example]:
    """Take right refusals back in, evenly over the file, until they are `share` of what is kept."""
    right = [
        number
        for number, e in enumerate(examples)
        if e.dropped == "refusal" and e.reply == NOT_STATED and e.refine is None and _is_right(e.origin)
    ]
    kept = sum(not e.dropped for e in examples)
    count = min(len(right), round(kept * share / (1 - share))) if share < 1 else len(right)
    chosen = {right[i * len(right) // count] for i in range(count)}
    return [replace(e, dropped="", detail="a right refusal") if n in chosen else e for n, e in enumerate(examples)]


def _is_right(origin: Origin) -> bool:
    """Whether nothing could be said: the page asked about is known, and was not shown."""
    return origin.page is not None and origin.page not in origin.shown


def _with_one_system(examples: Sequence[Example]) -> list[Example]:
    """All rows with the commonest system message of those kept; as they are where none has one."""
    firsts = [e.messages[0] for e in examples if not e.dropped and e.messages[0]["role"] == "system"]
    if not firsts:
        return list(examples)
    counts = Counter(message["content"] for message in firsts)
    system = max(firsts, key=lambda message: counts[message["content"]])
    return [
        e if e.dropped else replace(e, messages=(system, *(m for m in e.messages if m["role"] != "system")))
        for e in examples
    ]


def _measured(example: Example, tokenizer: Tokenizer, limit: int) -> Example:
    tokens = tokenizer.count_messages(example.messages)
    dropped = example.dropped or ("over the token limit" if tokens > limit else "")
    return replace(example, tokens=tokens, reply_tokens=tokenizer.count(example.reply), dropped=dropped)


def _held_out(examples: Sequence[Example], share: float) -> list[Example]:
    numbers = [n for n, e in enumerate(examples) if not e.dropped]
    kept = [examples[n] for n in numbers]
    pages = [e.origin.shown | ({e.origin.page} - {None}) for e in kept]
    held, lost = hold_out([e.question or e.exchange.id for e in kept], pages, share)
    result = list(examples)
    for place, number in enumerate(numbers):
        dropped = "validation page in the prompt" if place in lost else ""
        result[number] = replace(result[number], held_out=place in held, dropped=dropped)
    if not held:
        raise InputError(
            "No question can be held out for validation without a page on both sides; ask for more --train-questions, "
            "or leave --validation-share out."
        )
    return result


def _write(file: TrainingFile, prompt_completion: bool) -> None:
    """The chat file, the other format beside it where it is wanted, and the same for the examples held out.

    What an earlier run wrote and this one does not is removed: somebody might train on it.
    """
    validation = _sibling(file.path, "validation")
    for path, examples in ((file.path, file.kept), (validation, file.held_out)):
        other = _sibling(path, "prompt-completion")
        wanted = path == file.path or file.validation is not None
        if wanted:
            write_jsonl(path, ({"messages": example.messages} for example in examples))
        else:
            path.unlink(missing_ok=True)
        if wanted and prompt_completion:
            write_jsonl(other, _prompt_completion(examples))
        else:
            other.unlink(missing_ok=True)


def _prompt_completion(examples: Sequence[Example]) -> Iterator[dict[str, Any]]:
    return ({"prompt": e.messages[:-1], "completion": e.messages[-1:]} for e in examples)


def _sibling(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}.{name}{path.suffix}")


def _reasons(examples: Sequence[Example]) -> str:
    counts = Counter(example.dropped for example in examples)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "the log holds none"
