"""`minirag probe`, and the first thing that `run` does: one tiny request to each model, before money is spent.

The requests are those of the run, with its parameters and reply formats, so what is learned about a model (a parameter
that it refuses, the tokens that it thinks) is known when the run begins. The run's log holds them: a resumed run sends
none.
"""

import textwrap
from collections.abc import Mapping
from typing import Any

from minirag import prompts
from minirag.cli.terminal import WIDTH, say, table
from minirag.costs import bill, dollars, total
from minirag.errors import FINAL, BadReply, InputError, ServiceError, TrainingNotAvailable
from minirag.finetune import read_object
from minirag.message_log import Exchange
from minirag.metrics.judge import reply_tokens
from minirag.pipeline import Run
from minirag.questions import TOKENS_PER_QUESTION

FACT = prompts.Excerpt("The trams of Tarnwick are blue.", 1)
TEXTS = ("The trams of Tarnwick are blue.", "What colour are the trams?")
STAGE = "probe"
FORMS = {"json_schema": "schema", "json_object": "object", None: "in text"}
NAME = 17
"""Characters of a model's name in the table."""
ACCOUNT = {401, 402}
"""Statuses of a key or an account that no model there answers to."""
MAY_PASS = {408, 409, 429, 502, 503, 504, 529}
"""Statuses that say nothing about what a service can do."""


def probe(run: Run, *, is_new: bool = False) -> None:
    """Ask each model of a run, look at the training endpoint, and show what they can do as a table on stderr.

    What the log holds is not asked again, but for the training endpoint if `is_new`. Raises InputError that names the
    models that do not answer; a service that does not train is only said.
    """
    rows, lines, failures, before = [], [], [], len(run.log)
    for role in ("teacher", "student", "judge", "tuned"):
        if model := getattr(run.settings, role):
            try:
                rows.append(_row(role, model, _ask(run, role)))
            except ServiceError as error:
                if error.status in ACCOUNT:
                    raise
                if error.code in FINAL:  # it answers, if not this
                    rows.append([role, _cut(model), "", str(error.code), "", "", ""])
                    continue
                rows.append([role, _cut(model), "", "no", "", "", ""])
                failures.append(f"{role} {model}: {error}")
    try:
        vectors = run.embed.embed(TEXTS, stage=STAGE)
        rows.append(["embedding", _cut(run.embed.model), "", "yes", "", "", ""])
        lines.append(f"embedding: {vectors.shape[1]:,} dimensions, at most {run.embed.inputs_per_call} texts a call")
    except ServiceError as error:
        rows.append(["embedding", _cut(run.embed.model), "", "no", "", "", ""])
        failures.append(f"embedding {run.embed.model}: {error}")
    if run.settings.tuned is None:
        lines.append(_look_at_training(run, is_new=is_new))
    if len(run.log) == before and not failures:
        return
    asked = [exchange for exchange in run.log if exchange.stage == STAGE]
    usd = total(bill(asked, run.prices))
    head = ["role", "model", "served as", "answers", "thinks", "temp.", "JSON"]
    for line in table(head, rows, 3).splitlines():
        say(line)
    for line in [*lines, f"probe: {len(asked)} requests, {dollars(usd)}"]:
        for part in textwrap.wrap(line, WIDTH, subsequent_indent="  "):
            say(part)
    if failures:
        raise InputError(f"{len(failures)} of the models cannot be used. {' '.join(failures)}")


def _ask(run: Run, role: str) -> Exchange:
    """Send a model the smallest request of its kind: a question, an answer, or a verdict."""
    messages, schema, reply = prompts.draft(TEXTS[1], [FACT]), None, TOKENS_PER_QUESTION
    if role == "teacher":
        messages, schema, reply = prompts.questions(FACT, 1), prompts.QUESTIONS_SCHEMA, 2 * TOKENS_PER_QUESTION
    if role == "judge":
        messages, schema = prompts.verdicts([FACT], [TEXTS[0]]), prompts.VERDICTS_SCHEMA
        reply = reply_tokens(1)
    chat = run.chat(role)
    return chat.complete(messages, stage=STAGE, tags={"role": role}, max_tokens=reply, schema=schema)


def _row(role: str, model: str, exchange: Exchange) -> list[str]:
    """Return what a model's answer shows: seconds, thinking tokens, whether it takes a temperature, and its JSON."""
    request = exchange.request
    thought = _thinking_tokens(exchange.usage)
    form = "–"
    if role in {"teacher", "judge"}:
        form = FORMS.get((request.get("response_format") or {}).get("type"), "in text")
        try:
            prompts.json_object(exchange.text)
        except ValueError:
            form = "none"
    temperature = f"{request['temperature']:g}" if "temperature" in request else "own"
    names = [role, _cut(model), _cut(exchange.served_model)]
    return [*names, f"{exchange.seconds:.1f} s", str(thought or "no"), temperature, form]


def _thinking_tokens(usage: Mapping[str, Any]) -> int:
    """Return the tokens of a reply that are not its text, where the service tells them or their total."""
    details = usage.get("completion_tokens_details")
    total_tokens, parts = usage.get("total_tokens") or 0, (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    beside = total_tokens - sum(part or 0 for part in parts)
    return max(beside, (details or {}).get("reasoning_tokens") or 0)


def _cut(name: str) -> str:
    return name if len(name) <= NAME else f"…{name[1 - NAME :]}"


def _training_call(run: Run) -> Exchange:
    return Exchange(STAGE, "fine_tuning.jobs.list", run.trainer.name, {"limit": 1})


def _look_at_training(run: Run, *, is_new: bool) -> str:
    """List one job at the training endpoint, unless the log knows the outcome; return what that says."""
    call = _training_call(run)
    if is_new or not (run.log.find(call.id) or why_closed(run)):
        try:
            run.trainer.send(call, run.log, read=read_object, retries=False, reuse=False)
        except ServiceError as error:
            if why_closed(run) is None:
                return f"training: not known, because {error}"
    return f"training: {why_closed(run) or f'{run.trainer.address} takes jobs'}"


def why_closed(run: Run) -> TrainingNotAvailable | None:
    """Return why the service of the student trains no models, as a probe of this folder found; None if it may."""
    call = _training_call(run)
    failed = [exchange.error or {} for exchange in run.log.failures if exchange.id == call.id]
    if not failed or run.log.find(call.id) is not None:
        return None
    status, words = failed[-1].get("status"), str(failed[-1].get("message")).rstrip(".")
    words = words.removeprefix(f"{run.trainer.address} answered {status}: ")
    if status in MAY_PASS or (status is None and failed[-1].get("type") != BadReply.__name__):
        return None
    why = "it has no endpoint for jobs" if status in {404, 405} else words
    remedy = "train on training.jsonl elsewhere, then run again with --tuned MODEL --tuned-base-url URL"
    return TrainingNotAvailable(f"{run.trainer.address} trains no models ({why}): {remedy}.")
