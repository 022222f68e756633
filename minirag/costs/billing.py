"""The bill by stage, arm and model, what an answer costs by arm, and when training has paid for itself."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from minirag.costs.prices import Prices, Tokens, load_prices, price_of, training_cost
from minirag.message_log import Exchange

DIGITS = 12
"""Decimals of every sum of US dollars; rounded so, a sum does not depend on the order of the calls."""


@dataclass
class Line:
    """Calls, tokens and money of one stage, arm and model; `usd` is None if a price is unknown."""

    stage: str
    arm: str
    model: str
    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    training_tokens: int = 0
    usd: float | None = 0.0
    written_tokens: int = 0
    saved_usd: float = 0.0

    def add(self, exchange: Exchange, prices: Prices) -> None:
        """Count one exchange; a failed one is billed if the service says what it used."""
        self.calls += 1
        self.failed += exchange.error is not None
        price, tokens, is_batched = prices.of_call(exchange), tokens_of(exchange.usage), "batch" in exchange.tags
        if tokens is None:  # billed all the same if there was a reply, but nobody can say how much
            is_free = price.input == 0 and price.output in (0, None)
            is_free |= exchange.error is not None and (exchange.response or {}).get("usage") == {}  # it says: nothing
            if exchange.response is not None and not is_free:
                self.usd = None
            return
        self.input_tokens += tokens.input
        self.cached_tokens += tokens.cached
        self.written_tokens += tokens.written
        self.output_tokens += tokens.output
        usd = price_of(tokens, price, batched=is_batched)
        self.usd = None if self.usd is None or usd is None else round(self.usd + round(usd, DIGITS), DIGITS)
        whole = Tokens(tokens.input + tokens.cached + tokens.written, 0, tokens.output)
        uncached = price_of(whole, price, batched=is_batched)
        if usd is not None and uncached is not None:
            self.saved_usd = round(self.saved_usd + round(uncached - usd, DIGITS), DIGITS)


def tokens_of(usage: Mapping[str, Any]) -> Tokens | None:
    """Return the tokens that a call is billed for, wherever the service reports them; None without usable numbers.

    Tokens of reasoning are output. Some services count them beside `completion_tokens`, but all in `total_tokens`: the
    larger number counts. Cache hits are in the details (OpenAI and most), or fields of Moonshot's or DeepSeek's own.

    >>> tokens_of({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 150, "prompt_cache_hit_tokens": 60})
    Tokens(input=40, cached=60, output=50, written=0)
    """
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    prompt: Any = usage.get("prompt_tokens")
    output: Any = usage.get("completion_tokens") or 0
    total: Any = usage.get("total_tokens") or 0
    cached: Any = (
        details.get("cached_tokens") or usage.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0
    )
    written: Any = details.get("cache_write_tokens") or usage.get("cache_write_tokens") or 0
    if not all(isinstance(count, int) and count >= 0 for count in (prompt, output, total, cached, written)):
        return None
    if cached + written > prompt:
        return None
    if "completion_tokens" in usage:  # an embedding has none; a reply cut off in its thinking may have 0
        output = max(output, total - prompt)
    return Tokens(prompt - cached - written, cached, output, written)


def bill(log: Iterable[Exchange], prices: Prices) -> list[Line]:
    """Return one `Line` for each stage, arm and model of the log, and one for the training on each base model."""
    lines: dict[tuple[str, str, str], Line] = {}
    jobs: dict[str, tuple[str, int]] = {}
    for exchange in log:
        if exchange.endpoint in {"chat.completions", "embeddings"}:
            # judging has no arm: one call judges all answers that are the same
            arm = str(exchange.tags.get("arm", "")) if exchange.stage in {"draft", "refine"} else ""
            key = (exchange.stage, arm, exchange.model)
            lines.setdefault(key, Line(*key)).add(exchange, prices)
        elif exchange.error is None and (job := trained_by(exchange)):  # seen many times
            jobs[job[0]] = job[1:]
    for base, tokens in jobs.values():
        line = lines.setdefault(("train", "tuned", base), Line("train", "tuned", base))
        line.calls += 1
        line.training_tokens += tokens
        line.usd = training_cost(prices, base, line.training_tokens)
    return [lines[key] for key in sorted(lines)]


def trained_by(exchange: Exchange) -> tuple[str, str, int] | None:
    """Return a job's id, base model and trained tokens where its state tells them."""
    job = exchange.response or {}
    tokens = job.get("trained_tokens")
    return (str(job.get("id")), str(job.get("model")), tokens) if isinstance(tokens, int) and tokens else None


def total(lines: Iterable[Line]) -> float | None:
    """Return the sum of the lines' money; None if one of them is unknown.

    >>> total([Line("draft", "", "m", usd=1.5), Line("refine", "", "m", usd=None)]) is None
    True
    """
    amounts = [line.usd for line in lines]
    return None if None in amounts else sum(usd for usd in amounts if usd is not None)


Calls = Mapping[str, Sequence[Sequence[Exchange]]]
"""The calls behind each answer to the eval questions, by arm."""


TRIOS = (("gpt-6.1-sol", "gpt-4.1-mini", ""), ("gpt-4", "gpt-3.5-turbo", "2023-08"))
"""Teacher, student (also tuned) and table of prices that free models are compared with: today's, and the article's."""


def run_costs(log: Iterable[Exchange], prices: Prices, calls: Calls, trained: tuple[str, int] | None) -> dict[str, Any]:
    """Return what `costs.json` holds: the bill, the mean cost of an answer by arm, and when training has paid off.

    `trained` is the base model that was trained here and the expected number of its training tokens; the service's own
    number counts, if it tells. If all of it costs nothing here, or nobody knows what, `elsewhere` has the same tokens
    at the prices of `TRIOS`.
    """
    lines = bill(log, prices)
    if trained is not None:
        jobs = [line for line in lines if line.stage == "train" and line.model.startswith(trained[0])]
        trained = (jobs[0].model, jobs[0].training_tokens) if jobs else trained
    costs, elsewhere = _costs(calls, prices, trained), []
    if not any((*costs["usd_per_question"].values(), costs["training_usd"])):
        elsewhere = [_elsewhere(*trio, calls, trained) for trio in TRIOS]
    if ends := [
        f"{math.ceil(questions):,} questions with {trio['teacher']} and {trio['student']}"
        for trio in elsewhere
        if isinstance(questions := trio["break_even_questions"], float)
    ]:
        costs["payback"] += f" Training would have paid for itself after {', or '.join(ends)}."
    return {
        "prices_of": prices.date,
        "lines": [vars(line) for line in lines],
        "total_usd": total(lines),
        "cache_saved_usd": round(math.fsum(line.saved_usd for line in lines), DIGITS),
        **costs,
        "elsewhere": elsewhere,
    }


def payback(training: float | None, teacher: float | None, tuned: float | None) -> tuple[float | str | None, str]:
    """Return after how many questions training has paid for itself ("never", or None: not known), and a sentence.

    `training` is its cost, `teacher` and `tuned` the cost of one question, in US dollars; None: not known.

    >>> payback(8.0, 0.75, 0.5)
    (32.0, 'Training has paid for itself after 32 questions.')
    """
    if training is None or teacher is None or tuned is None:
        return None, "Whether training pays for itself is not known: a price is not known."
    if training == teacher == tuned == 0:
        return "never", "These models cost nothing here."
    if teacher <= tuned:
        reason = "a question costs no less with the tuned model than with the teacher"
        return "never", f"Training never pays for itself: {reason}."
    questions = training / (teacher - tuned)
    return questions, f"Training has paid for itself after {math.ceil(questions):,} questions."


def _costs(
    calls: Calls, prices: Prices, trained: tuple[str, int] | None, models: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return cost per answer, of training, and break-even; `models` names other models than those called, by arm."""
    per_answer: dict[str, float | None] = {}
    for arm, answers in calls.items():
        line = Line("", arm, "")
        for exchange in (exchange for answer in answers for exchange in answer):
            if models is None:
                line.add(exchange, prices)
            else:  # without tags: not every model is sold in batches
                line.add(replace(exchange, request={**exchange.request, "model": models[arm]}, tags={}), prices)
        per_answer[arm] = None if line.usd is None or not answers else line.usd / len(answers)
    training_usd = None if trained is None else training_cost(prices, *trained)
    if "tuned" in calls:
        questions, sentence = payback(training_usd, per_answer.get("teacher"), per_answer["tuned"])
    else:
        questions, sentence = None, "There is no tuned model to pay for."
    return {
        "usd_per_question": per_answer,
        "training_usd": training_usd,
        "break_even_questions": questions,
        "payback": sentence,
    }


def _elsewhere(teacher: str, student: str, table: str, calls: Calls, trained: tuple[str, int] | None) -> dict[str, Any]:
    """Return the costs of the same tokens with hosted models, and how their prices compare, in words."""
    prices, tuned = load_prices(table or None), f"ft:{student}"
    models = {"teacher": teacher, "tuned": tuned, "base": student, "control": student}

    def ratio(dear: str, cheap: str) -> str:
        """Return how many times as much a model costs: for input and output, or once if both are the same."""
        one, other = prices.of(dear), prices.of(cheap)
        pairs = ((one.input, other.input), (one.output, other.output))
        return " / ".join(dict.fromkeys(f"{a / b:.4g}" for a, b in pairs if a and b))

    return {
        "teacher": teacher,
        "student": student,
        "prices_of": prices.date,
        "in_words": [
            f"{teacher}, {student} ({prices.date}; tuned until {load_prices().of(tuned).shutdown}), in / out:",
            f"tuned {ratio(tuned, student)} × untrained; teacher {ratio(teacher, tuned)} × tuned, "
            f"{ratio(teacher, student)} × untrained.",
        ],
        **_costs(calls, prices, None if trained is None else (student, trained[1]), models),
    }
