"""`minirag compare A B` for two files of scores, of whatever tool made them: is the second better than the first?

A row is a question, or one score of it as in `scores.jsonl`. Known are ragas' columns, deepeval's `metrics_data` and
promptfoo's `vars`, `score` and `namedScores`; any other column of numbers is a metric, too.
"""

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from minirag.cli.rows import read_fields
from minirag.cli.terminal import number, say, show, show_json, table
from minirag.errors import InputError
from minirag.metrics.comparison import SCALE, compare
from minirag.statistics.findings import holm, losses_in_words, several_in_words
from minirag.statistics.power import in_words, spaced, to_json

QUESTIONS = ("question_id", "question", "user_input", "input", "vars", "query", "name")
"""Columns that name a question, ours first; the first that both files have is used."""
METRIC_LISTS = ("metrics_data", "metricsdata", "named_scores", "namedscores")
NOT_SCORES = {"", "unnamed:_0", "id", "idx", "index", "test_id", "testidx", "promptidx", "round", "seed"}
NOT_SCORES |= {"latency", "latencyms", "cost", "tokens", "failurereason", "completion_time", "evaluation_cost", "order"}
"""Columns of numbers that are no scores."""
Row = Mapping[str, Any]


def main(options: Mapping[str, Any]) -> int:
    """Print for each metric of both files the difference, its interval, the verdict and the questions needed."""
    first, second = paths = [Path(name) for name in options["documents"]]
    tables = [[_flat(row) for row in read_fields(path)] for path in paths]
    question = _question_column(tables)
    metrics = _metrics(tables, paths, options, {question, _key(options.get("cluster", question))})
    files = [_by_question(rows, question, metrics) for rows in tables]
    questions = list(dict.fromkeys(key for file in files for key in file))
    if not set(files[0]) & set(files[1]):
        raise InputError(f"The files have no {question} in common, so nothing can be paired.")
    clusters = _clusters(tables, question, questions, options.get("cluster"))
    names = tuple(path.name if first.name != second.name else str(path) for path in paths)
    primary = options.get("primary", "faithfulness" if "faithfulness" in metrics else metrics[0])
    if primary not in metrics:
        raise InputError(f"--primary {primary}: the files share the metrics {', '.join(metrics)}.")
    results = {}
    for metric in metrics:
        columns = [[_mean(file.get(key, {}).get(metric, ())) for key in questions] for file in files]
        result = compare(
            *columns,
            clusters=clusters,
            margin=options.get("margin"),
            arms=(names[0], names[1]),
            scale=options.get("range", SCALE),
        )
        results[metric] = to_json(result)
    for one, p_value in zip(results.values(), holm([one["p_value"] for one in results.values()]), strict=True):
        one["p_holm"] = p_value
    if options.get("json"):
        show_json({"files": list(map(str, paths)), "paired_by": question, "primary": primary, "metrics": results})
        return 0
    say(f"{len(questions)} questions, paired by {question}; the difference is {second} minus {first}")
    family = {spaced(metric): one for metric, one in results.items()}
    rows = [[name, number(one["base_mean"]), number(one["tuned_mean"]), f"{one['n']}"] for name, one in family.items()]
    lines = [table(["mean over pairs", *names, "pairs"], rows)]
    lines += [f"{name}{' (primary)' * (name == spaced(primary))} {in_words(one)}" for name, one in family.items()]
    lines += [losses_in_words(name, one) for name, one in family.items() if one["n"] and one["large_losses"]]
    show("\n".join([*lines, *several_in_words(spaced(primary), family)]))
    return 0


def _key(column: str) -> str:
    """Return a column's name as it is compared: deepeval's "Answer Relevancy" is `answer_relevancy`."""
    return "_".join(column.casefold().split())


def _flat(row: Row) -> dict[str, Any]:
    """Return a row with its metrics as columns of their own, whichever way a tool nests them."""
    columns = {_key(name or ""): value for name, value in row.items()}
    scores: dict[str, Any] = {}
    for name in METRIC_LISTS:  # {"name": score}, as text in a CSV file, or [{"name", "score"}]
        nested = columns.pop(name, None)
        with suppress(TypeError, ValueError, RecursionError):
            nested = json.loads(nested)
        if isinstance(nested, list):
            nested = {str(one.get("name")): one.get("score") for one in nested if isinstance(one, dict)}
        if isinstance(nested, dict):
            scores |= {_key(metric): score for metric, score in nested.items()}
    if "metric" in columns and "value" in columns:  # one score a row
        scores[_key(str(columns.pop("metric")))] = columns.pop("value")
    if isinstance(variables := columns.get("vars"), dict):
        columns = {**{_key(name): value for name, value in variables.items()}, **columns}
        columns["vars"] = json.dumps(variables, sort_keys=True)
    return columns | scores


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _question_column(tables: Sequence[Sequence[Row]]) -> str:
    """Return the column that pairs the files: one that is known, or the first of texts."""
    shared = [name for name in _names(tables[0]) if all(name in _names(rows) for rows in tables)]
    texts = [name for name in shared if all(isinstance(row.get(name), str) for rows in tables for row in rows)]
    others = [name for name in texts if not all(_is_number(row[name]) for rows in tables for row in rows)]
    for name in (*QUESTIONS, *others):
        if name in shared:
            return name
    raise InputError(f"The files share no column that names the question, like {', '.join(QUESTIONS[:4])}.")


def _is_number(value: Any) -> bool:
    with suppress(TypeError, ValueError):
        return not isinstance(value, bool) and not math.isnan(float(value))
    return False


def _is_empty(value: Any) -> bool:
    return value is None or str(value).strip().casefold() in {"", "nan", "none", "null"}


def _metrics(
    tables: Sequence[Sequence[Row]], paths: Sequence[Path], options: Mapping[str, Any], others: set[str]
) -> list[str]:
    """Return the columns to compare: those of --metrics, or all of numbers that both files have. Raises InputError."""
    columns = []
    for rows in tables:
        models = {str(row["arm"]) for row in rows if row.get("arm")}
        if len(models) > 1:
            raise InputError(f"A file holds the scores of {len(models)} models; give each model a file of its own.")
        names = [name for name in _names(rows) if name not in NOT_SCORES | others]
        numbers = {name: [row[name] for row in rows if not _is_empty(row.get(name))] for name in names}
        columns.append([name for name, column in numbers.items() if column and all(map(_is_number, column))])
    shared = [name for name in columns[0] if name in columns[1]]
    wanted = [_key(name) for name in options.get("metrics", shared)]
    if not wanted or not set(wanted) <= set(shared):
        each = "; ".join(f"{path}: {', '.join(names) or 'none'}" for path, names in zip(paths, columns, strict=True))
        raise InputError(f"The files share no such column of numbers. Columns of numbers in {each}.")
    low, high = options.get("range", SCALE)
    outside: dict[str, float] = {}
    for name in wanted:
        for value in (float(row[name]) for rows in tables for row in rows if not _is_empty(row.get(name))):
            if not low <= value <= high:
                outside[name] = value
    for name, value in outside.items():
        fault = f"{name} holds {value:g}, which is not from {low:g} to {high:g}"
        if "metrics" in options or len(outside) == len(wanted):
            raise InputError(f"{fault}: give the scores' range, as in --range 1,5.")
        say(f"{fault}, so it is left out; if it is a score, give its range, as in --range 1,5 --metrics {name}.")
    return [name for name in wanted if name not in outside]


def _by_question(rows: Sequence[Row], question: str, metrics: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Return each question's scores by metric; a question may have several rows."""
    scores: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        of_metric = scores.setdefault(" ".join(str(row.get(question, "")).split()), {})
        for metric in metrics:
            if not _is_empty(row.get(metric)):
                of_metric.setdefault(metric, []).append(float(row[metric]))
    return scores


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None


def _clusters(
    tables: Sequence[Sequence[Row]], question: str, questions: Sequence[str], column: str | None
) -> list[Hashable] | None:
    """Return for each question what `column` says it shares with others; without a value it stands alone."""
    if column is None:
        return None
    named: dict[str, str] = {}
    for row in (row for rows in tables for row in rows):
        if not _is_empty(value := row.get(_key(column))):
            named.setdefault(" ".join(str(row.get(question, "")).split()), str(value))
    if not named:
        raise InputError(f"No row has a {column}; --cluster names a column of the files, like a page or a document.")
    return [("", named[key]) if key in named else (key,) for key in questions]
