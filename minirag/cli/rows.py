"""`minirag evaluate FILE`: anybody's rows scored, without a run; and the readers of such files."""

import ast
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from minirag.batch import Batches
from minirag.cli.arguments import FORMS
from minirag.cli.connect import connect
from minirag.cli.progress import Progress
from minirag.cli.settings import completed
from minirag.cli.terminal import cut, number, say, show, show_json, visible
from minirag.costs import Budget, Meter, load_prices
from minirag.dialect import MOST_THINKING
from minirag.documents import decode_text
from minirag.embeddings import EmbeddingModel
from minirag.errors import InputError, Unfinished
from minirag.message_log import MessageLog, write_jsonl
from minirag.metrics.evaluation import FIELDS, Row, as_row, evaluate
from minirag.metrics.score import Scores, ragas_score
from minirag.models import ChatModel
from minirag.service import Gate
from minirag.statistics.findings import means_of

csv.field_size_limit(1 << 28)
_TEXT = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
"""A text as Python writes it."""


def main(options: Mapping[str, Any]) -> int:
    """Score the rows of a file: scores and log go into a folder of their own, a table or JSON to stdout."""
    options = completed(options, FORMS["rows"][1])
    path = Path(options["documents"][0])
    rows = read_rows(path)
    folder = options.get("out", Path(f"{path.name}-scores"))
    if (folder / "scores.jsonl").resolve() == path.resolve():
        raise InputError(f"The scores would replace {path}; give another folder with --out.")
    with ExitStack() as stack:
        log = stack.enter_context(MessageLog(folder / "messages.jsonl"))
        scores = _scored(rows, options, folder, log, stack)
        write_jsonl(folder / "scores.jsonl", (row.to_json() for row in scores))
    say(f"evaluate: {len(scores)} scores in {folder / 'scores.jsonl'}")
    means = summary(scores)
    show_json(means) if options.get("json") else show(_table_of(means))
    if failed := [row for row in scores if row.failed]:
        raise Unfinished(f"{len(failed)} scores are missing ({failed[0].score.reason}) Run again to resume.")
    return 0


def _scored(rows: Sequence[Row], options: Mapping[str, Any], folder: Path, log: MessageLog, stack: ExitStack) -> Scores:
    """Return the scores of the rows, judged by the models that the options name."""
    metrics, is_offline = options.get("metrics", ("faithfulness", "answer_relevancy")), "offline" in options
    roles = ("judge", "embedding") if "answer_relevancy" in metrics else ("judge",)
    for role in roles:
        if role not in options and not is_offline:
            raise InputError(f"No model for --{role}: name one, or use --offline for the embedded models.")
    tokenizer, prices = options.get("tokenizer"), load_prices(options.get("prices"))
    meter = Meter(prices)
    budget = Budget(options["max_cost"], prices, log, tokenizer) if "max_cost" in options else None
    gates: list[Gate] = [meter] if budget is None else [meter, budget]
    service, services = connect(options, stack, folder, offline=is_offline, roles=roles, gates=gates)
    progress = Progress(meter)
    judge = ChatModel(
        options.get("judge", "offline-judge"),
        temperature=options.get("temperature", 0.0),
        tokenizer=tokenizer,
        thinking_tokens=options.get("thinking_tokens", MOST_THINKING),
        options=dict(options.get("judge_option", ())),
        log=log,
        service=services.get("judge", service),
    )
    embed = EmbeddingModel(
        options.get("embedding", "offline-embedding"),
        prefix=options.get("query_prefix", ""),
        options=dict(options.get("embedding_option", ())),
        log=log,
        service=services.get("embedding", service),
    )

    def scored() -> Scores:
        return evaluate(
            rows,
            metrics,
            judge,
            embed,
            rounds=options.get("rounds", 1),
            workers=1 if "batch" in options else options.get("workers", 8),
            window=options.get("judge_window"),
            progress=lambda done, total: progress("evaluate", done, total),
        )

    batches = Batches(service, log, cap=budget, say=say, progress=progress)
    return batches.run(scored, batched="batch" in options)


def summary(scores: Scores) -> dict[str, Any]:
    """Return per arm and metric: mean over scored rows, n, n unscored and why; and `ragas_score` per arm."""
    result: dict[str, Any] = {}
    for arm, metric in dict.fromkeys((row.arm, row.metric) for row in scores):
        ids = list(dict.fromkeys(row.question_id for row in scores if (row.arm, row.metric) == (arm, metric)))
        result.setdefault(arm, {})[metric] = means_of(scores.of(arm, metric, ids))
    for metrics in result.values():
        metrics["ragas_score"] = ragas_score([facts["mean"] for facts in metrics.values()])
    return result


def _table_of(means: Mapping[str, Any]) -> str:
    """Return the means as lines of at most 79 characters, unscored rows with their reasons below."""
    lines = [f"{'arm':10} {'metric':20} {'mean':>7} {'n':>6} {'unscored':>9}"]
    for name, metrics in means.items():
        arm = visible(name)[:10] or "–"
        for metric, facts in metrics.items():
            if metric == "ragas_score":
                lines.append(f"{arm:10} {'ragas score':20} {number(facts):>7}")
                continue
            lines.append(f"{arm:10} {metric:20} {number(facts['mean']):>7} {facts['n']:>6} {facts['n_unscored']:>9}")
            lines += [cut(f"{'':13}{count} × {reason}") for reason, count in facts["unscored"].items()]
    return "\n".join(lines)


# -- reading rows ------------------------------------------------------------------------------------------


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a `.jsonl` or `.csv` file, or the judged answers of a run folder. Raises InputError."""
    fields = read_fields(path)
    return [as_row({name: _cell(name, value) for name, value in row.items()}, n) for n, row in enumerate(fields, 1)]


def read_fields(path: Path) -> Sequence[Mapping[str, Any]]:
    """Return the fields of each row, as the file or the run folder has them. Raises InputError."""
    if path.exists() and not path.is_dir() and not path.is_file():
        raise InputError(f"{path} is no ordinary file; name a .jsonl or .csv file, or the folder of a run.")
    try:
        if path.is_dir():
            fields: Sequence[Mapping[str, Any]] = [answer for answer, _ in judged_answers(path)]
        elif path.suffix.lower() == ".csv":
            text = decode_text(str(path), path.read_bytes())
            delimiter = max(",;\t", key=text.partition("\n")[0].count)
            fields = list(csv.DictReader(io.StringIO(text, newline=None), delimiter=delimiter))
        else:
            fields = list(_json_lines(path))
    except FileNotFoundError as error:
        raise InputError(f"There is no {error.filename}.") from None
    except (KeyError, TypeError) as error:
        raise InputError(f"The answers in {path} are not those of a run ({error}); run it again.") from error
    except (OSError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if not fields:
        raise InputError(f"{path} holds no rows; give one JSON object a line, or a CSV file with a header.")
    return fields


def judged_answers(folder: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the eval answers of a run, as fields of a row, each with the name of the page that it is about."""
    chunks = {chunk["id"]: chunk for chunk in _json_lines(folder / "chunks.jsonl")}
    questions = {question["id"]: question for question in _json_lines(folder / "questions.jsonl")}
    for answer in _json_lines(folder / "answers.jsonl"):
        question = questions.get(answer["question_id"], {})
        if question.get("split") == "eval":
            contexts = [chunks[id]["text"] for id in answer["contexts"] if id in chunks]
            source = chunks.get(question["chunk_id"])
            page = answer["question_id"] if source is None else f"{source['source']} {source['page']}"
            yield {**answer, "question": question["text"], "answer": answer["text"], "contexts": contexts}, page


def _json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    for n, line in enumerate(decode_text(str(path), path.read_bytes()).split("\n"), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                raise InputError(f"Line {n} of {path} is not JSON; each line is one object.") from None
            if not isinstance(value, dict):
                raise InputError(f"Line {n} of {path} is no JSON object.")
            yield value


def _cell(name: str, value: Any) -> Any:
    """Return a value as a row takes it: texts that are written out as a list, in JSON or in Python, are one."""
    if isinstance(value, list):
        return [_cell("", item) for item in value]
    if not isinstance(value, str):
        return value
    if name in (*FIELDS["contexts"], "ground_truths") and value.lstrip().startswith("["):
        if re.fullmatch(rf"\[\s*{_TEXT}(\s+{_TEXT})*\s*\]", value.strip(), re.DOTALL):  # as numpy prints an array
            return _cell("", [ast.literal_eval(text) for text in re.findall(_TEXT, value, re.DOTALL)])
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                if isinstance(listed := read(value), list):
                    return _cell("", listed)
    return value.encode("utf-8", "replace").decode()  # a lone surrogate, which cannot be sent, becomes "?"
