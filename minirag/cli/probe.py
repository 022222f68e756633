"""`minirag probe`, and the first thing that `run` does: one tiny request to each model, before money is spent.

The requests are those of the run, with its parameters and reply formats, so what is learned about a model (a parameter
that it refuses, the tokens that it thinks) is known when the run begins. The run's log holds them: a resumed run sends
none.
"""

from minirag import prompts
from minirag.cli.terminal import say, table, wrapped
from minirag.costs import bill, total
from minirag.errors import BadReply, InputError, ServiceError, TrainingNotAvailable
from minirag.message_log import Exchange, MessageLog
from minirag.metrics.judge import reply_tokens
from minirag.models import read_object
from minirag.pipeline import Run
from minirag.questions import TOKENS_PER_QUESTION
from minirag.service import Service
from minirag.text import dollars
from minirag.vector_store import EmbeddingModel

FACT = prompts.Excerpt("The trams of Tarnwick are blue.", 1)
QUESTION = "What colour are the trams?"
ANSWER = (prompts.draft(QUESTION, [FACT]), None, TOKENS_PER_QUESTION)
REQUESTS = {
    "teacher": (prompts.questions(FACT, 1), prompts.QUESTIONS_SCHEMA, 2 * TOKENS_PER_QUESTION),
    "student": ANSWER,
    "judge": (prompts.verdicts([FACT], [FACT.text]), prompts.VERDICTS_SCHEMA, reply_tokens(1)),
    "tuned": ANSWER,
}
"""Each role's smallest request of its kind: messages, schema, and the most tokens of a reply."""
STAGE = "probe"
HEAD = ["role", "model", "served as", "answers", "thinks", "temp.", "JSON"]
FORMS = {"json_schema": "schema", "json_object": "object"}
MAY_PASS = {408, 409, 429, 502, 503, 504, 529}
"""Statuses that say nothing about what a service can do."""


def probe(run: Run, *, is_new: bool = False) -> None:
    """Ask the model of each role, look at the training endpoint, and show what they can do as a table on stderr.

    What the log holds is not asked again, but for the training endpoint if `is_new`. Raises InputError that names the
    models that do not answer; a service that does not train is only said.
    """
    log, trainer = run.log, run.trainer
    before = len(log)
    rows, notes, failures = [], [], []
    models = {role: model for role in (*REQUESTS, "embedding") if (model := getattr(run.settings, role))}
    for role, model in models.items():
        cells = ["", "yes", "", "", ""]
        try:
            if role == "embedding":
                size = run.embed.embed([FACT.text, QUESTION], stage=STAGE).shape[1]
                notes.append(f"{role}: {size:,} dimensions, at most {run.embed.inputs_per_call} texts a call")
            else:
                messages, schema, reply = REQUESTS[role]
                chat, tags = run.chat(role), {"role": role}
                exchange = chat.complete(messages, stage=STAGE, tags=tags, max_tokens=reply, schema=schema)
                cells = _cells(role, exchange)
        except ServiceError as error:
            if error.status in {401, 402}:  # no model there answers to this key or account
                raise
            cells = ["", str(error.code) if error.final else "no", "", "", ""]  # a refusal is an answer
            if not error.final:
                failures.append(f"{role} {model}: {error}")
        rows.append([role, _cut(model), *cells])
    if run.settings.tuned is None:
        call, unknown = _training_call(trainer), None
        if is_new or not (log.find(call.id) or why_closed(trainer, log)):
            try:
                trainer.send(call, log, read=read_object, retries=False, reuse=False)
            except ServiceError as error:
                unknown = f"not known, because {error}"
        notes.append(f"training: {why_closed(trainer, log) or unknown or f'{trainer.address} takes jobs'}")
    if len(log) == before and not failures:
        return
    asked = [exchange for exchange in log if exchange.stage == STAGE]
    notes.append(f"probe: {len(asked)} requests, {dollars(total(bill(asked, run.prices)))}")
    for line in "\n".join([table(HEAD, rows, 3), *map(wrapped, notes)]).splitlines():
        say(line)
    if failures:
        raise InputError(f"{len(failures)} of the models cannot be used. {' '.join(failures)}")


def _cells(role: str, exchange: Exchange) -> list[str]:
    """Return what a model's answer shows, for the columns of `HEAD` from `served as` on."""
    request, usage = exchange.request, exchange.usage
    form = "–"
    if role in {"teacher", "judge"}:
        form = FORMS.get(str((request.get("response_format") or {}).get("type")), "in text")
        try:
            prompts.json_object(exchange.text)
        except ValueError:
            form = "none"
    # tokens of thinking are in the details, or only in the total
    prompt, completion, total_tokens = (usage.get(f"{part}_tokens") or 0 for part in ("prompt", "completion", "total"))
    details = usage.get("completion_tokens_details") or {}
    thought = max(total_tokens - prompt - completion, details.get("reasoning_tokens") or 0)
    temperature = f"{request['temperature']:g}" if "temperature" in request else "own"
    return [_cut(exchange.served_model), f"{exchange.seconds:.1f} s", str(thought or "no"), temperature, form]


def _cut(name: str) -> str:
    return name if len(name) <= 17 else f"…{name[-16:]}"


def _training_call(trainer: Service) -> Exchange:
    return Exchange(STAGE, "fine_tuning.jobs.list", trainer.name, {"limit": 1})


def why_closed(trainer: Service, log: MessageLog) -> TrainingNotAvailable | None:
    """Return why a service trains no models, as a probe in this log has shown; None if it may."""
    call = _training_call(trainer)
    failed = [exchange.error for exchange in log.failures if exchange.id == call.id and exchange.error]
    if not failed or log.find(call.id) is not None:
        return None
    error = ServiceError.from_json(failed[-1])
    if error.status in MAY_PASS or (error.status is None and not isinstance(error, BadReply)):
        return None
    why = str(error).rstrip(".").removeprefix(f"{trainer.address} answered {error.status}: ")
    if error.status in {404, 405}:
        why = "it has no endpoint for jobs"
    remedy = "train on training.jsonl elsewhere, then run again with --tuned MODEL --tuned-base-url URL"
    return TrainingNotAvailable(f"{trainer.address} trains no models ({why}): {remedy}.")
