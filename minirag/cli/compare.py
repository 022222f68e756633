"""`minirag compare DIR DIR …` and `compare FILE FILE`: finished runs side by side, or two files of scores of any tool.

A row of a file is a question, or one score of it as in `scores.jsonl`. Known are ragas' columns, deepeval's
`metricsData`, and promptfoo's `vars`, `score` and `namedScores`; any other column of numbers is a metric, too.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

from minirag.cli.rows import read_fields
from minirag.cli.terminal import say, show, show_json, table, wrapped
from minirag.errors import InputError
from minirag.metrics.comparison import SCALE, compare
from minirag.statistics import replication
from minirag.statistics.findings import holm, losses_in_words, several_in_words
from minirag.statistics.power import figures_of, in_words, number, spaced, to_json

QUESTIONS = ("question_id", "question", "user_input", "input", "vars", "query", "prompt", "name")
"""Columns that name a question, ours first; the first that both files have is used."""
NOT_SCORES = set(
    "unnamed:_0 id idx index test_id testidx promptidx round seed order failurereason latency latencyms runduration "
    "completion_time completiontime cost evaluation_cost evaluationcost tokencost tokens inputtokencount "
    "outputtokencount".split()
)
"""Columns of numbers that are no scores."""
NESTED = ("metrics_data", "metricsdata", "named_scores", "namedscores")
"""Columns that hold several scores: [{"name", "score"}], or {"name": score}."""
Row = Mapping[str, Any]
Column = Mapping[str, float]
"""The scores of one metric by question: the mean where a file has several."""


def runs(options: Mapping[str, Any]) -> int:
    """Print whether what the first run found differs in the others."""
    names = options.get("documents", ())
    if len(names) < 2:
        raise InputError(
            "Name the run's folder with --out DIR, or two or more to compare: folders of finished runs, or two files "
            "of scores."
        )
    if len({Path(name).resolve() for name in names}) < len(names):
        raise InputError("One run is named twice; a run does not replicate itself.")
    results = replication([_read_run(name) for name in names])
    if options.get("json"):
        show_json({"runs": names, "comparisons": results})
    else:
        show("\n".join(_lines(one, names) for one in results) or "No run compares a tuned model with anything.")
    return 0


def _read_run(name: str) -> dict[str, Any]:
    """Return a finished run's `comparison.json`. Raises InputError."""
    try:
        comparison: dict[str, Any] = json.loads((Path(name) / "comparison.json").read_text("utf-8"))
        if not isinstance(comparison["metrics"], dict):
            raise TypeError("comparison.json has no metrics")
    except (FileNotFoundError, NotADirectoryError):
        what = f"There is no finished run in {name} (comparison.json is missing)"
        raise InputError(f"{what}; name the folders of finished runs, or two files of scores.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The run in {name} cannot be read ({error}); run it again.") from error
    return comparison


def _lines(one: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return a comparison in each of the runs, and how much the others differ from the first."""
    lines = [f"{spaced(one['metric'])}, tuned against {one['against']}: {one['outcome']}"]
    for name, run in zip(names, one["runs"], strict=True):
        verdict = f"{figures_of(run) or '–'}: {run['verdict']} ({run['n']} questions)" if run else "not compared"
        lines.append(f"  {name} {verdict}")
    for name, shift in zip(names[1:], one["shifts"], strict=True):
        lines.append(f"  {name} minus {names[0]} {figures_of(shift) if shift else 'not known'}")
    return "\n".join(map(wrapped, lines))


def files(options: Mapping[str, Any]) -> int:
    """Print for each metric of both files the difference, its interval, the verdict and the questions needed."""
    first, second = paths = [Path(name) for name in options["documents"]]
    # 1. What the files share: a column that names the question, and metrics.
    tables = [[_flat(row) for row in read_fields(path)] for path in paths]
    question = next((name for name in QUESTIONS if all(any(name in row for row in rows) for rows in tables)), None)
    if question is None:
        raise InputError(f"The files share no column that names the question, like {', '.join(QUESTIONS[:4])}.")
    for row in (*tables[0], *tables[1]):
        row[question] = " ".join(str(row.get(question, "")).split())
    cluster = _key(options.get("cluster", question))
    columns = [_scores(rows, question, {question, cluster}) for rows in tables]
    metrics = _metrics(columns, paths, options)
    primary = options.get("primary", "faithfulness" if "faithfulness" in metrics else metrics[0])
    if primary not in metrics:
        raise InputError(f"--primary {primary}: the files share the metrics {', '.join(metrics)}.")
    # 2. Their questions, with what these share among themselves.
    if not {row[question] for row in tables[0]} & {row[question] for row in tables[1]}:
        raise InputError(f"The files have no {question} in common, so nothing can be paired.")
    questions = list(dict.fromkeys(row[question] for rows in tables for row in rows))
    clusters = None
    if "cluster" in options:
        cluster_of = {row[question]: str(row[cluster]) for rows in tables for row in rows if cluster in row}
        if not cluster_of:
            raise InputError(f"No row has a {options['cluster']}; --cluster names a column like a page or a document.")
        clusters = [("", cluster_of[key]) if key in cluster_of else (key,) for key in questions]
    # 3. The comparisons, with their p-values corrected for each other.
    how = {"clusters": clusters, "margin": options.get("margin"), "scale": options.get("range", SCALE)}
    results = {
        metric: to_json(compare(*([own[metric].get(key) for key in questions] for own in columns), **how))
        for metric in metrics
    }
    for result, p_value in zip(results.values(), holm([one["p_value"] for one in results.values()]), strict=True):
        result["p_holm"] = p_value
    if options.get("json"):
        show_json({"files": list(map(str, paths)), "paired_by": question, "primary": primary, "metrics": results})
        return 0
    say(f"{len(questions)} questions, paired by {question}; the difference is {second} minus {first}")
    family = {spaced(metric): one for metric, one in results.items()}
    cells = [[name, number(one["base_mean"]), number(one["tuned_mean"]), f"{one['n']}"] for name, one in family.items()]
    names = (first.name, second.name) if first.name != second.name else (str(first), str(second))
    lines = [table(["mean over pairs", *names, "pairs"], cells)]
    lines += [f"{name}{' (primary)' * (name == spaced(primary))} {in_words(one)}" for name, one in family.items()]
    lines += [losses_in_words(name, one) for name, one in family.items() if one["n"] and one["large_losses"]]
    show("\n".join([*lines, *several_in_words(spaced(primary), family)]))
    return 0


def _key(column: str) -> str:
    """Return a column's name as it is compared: deepeval's "Answer Relevancy" is `answer_relevancy`."""
    return "_".join(column.casefold().split())


def _flat(row: Row) -> dict[str, Any]:
    """Return a row without empty cells and verdicts, its metrics as columns, whichever way a tool nests them."""
    cells = {_key(name or "").removeprefix("metric:_"): value for name, value in row.items()}
    for name in NESTED:
        nested = cells.pop(name, None)
        if isinstance(nested, list):
            nested = {str(one.get("name")): one.get("score") for one in nested if isinstance(one, dict)}
        if isinstance(nested, dict):
            cells |= {_key(metric): score for metric, score in nested.items()}
    if "metric" in cells and "value" in cells:  # one score a row
        cells[_key(str(cells.pop("metric")))] = cells.pop("value")
    if isinstance(variables := cells.get("vars"), dict):
        cells = {**{_key(name): value for name, value in variables.items()}, **cells}
        cells["vars"] = json.dumps(variables, sort_keys=True)
    empty = {"", "nan", "n/a", "na", "-", "none", "null", "true", "false"}
    return {name: value for name, value in cells.items() if str(value).strip().casefold() not in empty}


def _scores(rows: Sequence[Row], question: str, others: set[str]) -> dict[str, Column]:
    """Return the columns of numbers that may be scores. Raises InputError if the rows are of several models."""
    models = {tuple(str(row.get(name)) for name in ("arm", "provider", "promptidx")) for row in rows}
    if len(models) > 1:
        raise InputError(f"A file holds the scores of {len(models)} models; give each model a file of its own.")
    columns: dict[str, Column] = {}
    for name in dict.fromkeys(name for row in rows for name in row if name and name not in NOT_SCORES | others):
        column: dict[str, list[float]] = {}
        with suppress(TypeError, ValueError):
            for row in rows:
                if name in row:
                    column.setdefault(row[question], []).append(float(row[name]))
            columns[name] = {key: fmean(values) for key, values in column.items()}
    return columns


def _metrics(columns: Sequence[dict[str, Column]], paths: Sequence[Path], options: Mapping[str, Any]) -> list[str]:
    """Return the columns to compare: those of --metrics, or all that both files have. Raises InputError."""
    first, second = columns
    low, high = options.get("range", SCALE)
    shared = [name for name in first if name in second]
    wanted = [_key(name) for name in options.get("metrics", shared)]
    values = {name: [*first[name].values(), *second[name].values()] for name in wanted if name in shared}
    outside = {name: value for name, own in values.items() for value in own if not low <= value <= high}
    for name, value in outside.items():
        fault = f"{name} is left out: it holds {value:g}, which is not from {low:g} to {high:g}"
        say(f"{fault}; if it is a score, give its range, as in --range 1,5 --metrics {name}.")
    metrics = [name for name in wanted if name in shared and name not in outside]
    if not metrics or ("metrics" in options and len(metrics) < len(wanted)):
        each = "; ".join(f"{path}: {', '.join(own) or 'none'}" for path, own in zip(paths, columns, strict=True))
        raise InputError(f"The files share no such column of scores. Columns of numbers in {each}.")
    return metrics
