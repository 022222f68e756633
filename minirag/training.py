"""Row 6. From the log to a training file that a service will accept: every candidate kept or dropped, and why."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minirag.curation import Candidate, Finding, curate
from minirag.errors import InputError
from minirag.files import write_jsonl
from minirag.holdout import hold_out
from minirag.message_log import Exchange, MessageLog
from minirag.prompt_parts import Parts, parts
from minirag.prompts import NOT_STATED
from minirag.refinement import PARAPHRASE, REPEATS
from minirag.tokens import Tokenizer, example_limit, for_model
from minirag.training_file import Example, Origin, TrainingFile

IDLE_REFINES = ("drop", "verbatim")


def write_training_file(
    log: MessageLog,
    path: str | os.PathLike[str],
    *,
    stages: Collection[str] = ("draft", "refine"),
    split: str = "train",
    only: Mapping[str, str] | None = None,
    origin: Callable[[str, Exchange], Origin] | None = None,
    model: str = "gpt-4.1-mini",
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
    token limit of `model`, those that `origin(question id, exchange)` calls a leak, and what `curation.curate`
    finds; with `keep_all` only what no service would accept.

    `abstain_share` of the examples may be right refusals (`NOT_STATED` where the page asked about was not shown).
    `idle_refines="verbatim"` trains on the earlier answer, word for word, where a refine step added nothing.
    `same_system` gives all rows the commonest system message, also those sent without one. `validation_share` of the
    examples go to `training.validation.jsonl`, with no page in both. `prompt_completion` writes the same once more
    in the form `{"prompt": […], "completion": […]}`, by which TRL masks, to `training.prompt-completion.jsonl`.
    Raises InputError where nothing is left.
    """
    tokenizer, limit = for_model(model), example_limit(model)
    examples = [_unacceptable(example) for example in _candidates(log, stages, split, only, origin)]
    if not keep_all:
        examples = _curated(examples, idle_refines)
        examples = _with_refusals(examples, abstain_share)
    if same_system:
        examples = _with_one_system(examples)
    examples = [_measured(example, tokenizer, limit) for example in examples]
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
    examples = [replace(e, dropped=e.dropped or e.origin.leak) for e in examples]
    if idle_refines == "verbatim":
        examples = [_kept_verbatim(example) for example in examples]
    rest = [example for example in examples if not example.dropped]
    findings = iter(curate([Candidate(_prompt(e.exchange), e.reply, e.origin.page) for e in rest]))
    return [e if e.dropped else _judged(e, next(findings), idle_refines == "verbatim") for e in examples]


def _kept_verbatim(example: Example) -> Example:
    """A refine step that only paraphrased, with the earlier answer as its reply."""
    prompt = _prompt(example.exchange)
    if example.dropped or prompt.existing is None:
        return example
    [finding] = curate([Candidate(prompt, example.reply)])
    if finding.reason != PARAPHRASE:
        return example
    reply = {"role": "assistant", "content": prompt.existing.strip()}
    return replace(example, messages=(*example.messages[:-1], reply), detail="the earlier answer word for word")


def _judged(example: Example, finding: Finding, verbatim: bool) -> Example:
    reason = "" if verbatim and finding.reason == REPEATS else finding.reason
    return replace(example, dropped=reason, detail=finding.detail or example.detail, refine=finding.refine)


def _with_refusals(examples: Sequence[Example], share: float) -> list[Example]:
    """Take right refusals back in, evenly over the file, until they are `share` of what is kept."""
    right = [
        number
        for number, e in enumerate(examples)
        if e.dropped == "refusal" and e.reply == NOT_STATED and e.refine is None and e.origin.page not in e.origin.shown
    ]
    kept = sum(not e.dropped for e in examples)
    count = min(len(right), round(kept * share / (1 - share))) if share < 1 else len(right)
    chosen = {right[i * len(right) // count] for i in range(count)}
    return [replace(e, dropped="", detail="a right refusal") if n in chosen else e for n, e in enumerate(examples)]


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
    return result


def _write(file: TrainingFile, prompt_completion: bool) -> None:
    """The chat file always, the other format beside it, and the same for the examples held out."""
    for path, examples in ((file.path, file.kept), (file.validation, file.held_out)):
        if path is None:
            continue
        write_jsonl(path, ({"messages": example.messages} for example in examples))
        if prompt_completion:
            write_jsonl(_sibling(path, "prompt-completion"), _prompt_completion(examples))


def _prompt_completion(examples: Sequence[Example]) -> Iterator[dict[str, Any]]:
    return ({"prompt": e.messages[:-1], "completion": e.messages[-1:]} for e in examples)


def _sibling(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}.{name}{path.suffix}")


def _reasons(examples: Sequence[Example]) -> str:
    counts = Counter(example.dropped for example in examples)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "the log holds none"
