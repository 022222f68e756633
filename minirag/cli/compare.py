"""`minirag compare DIR DIR …` and `compare FILE FILE`: finished runs side by side, or two files of scores of any tool.

A row of a file is a question, or one score of it as in `scores.jsonl`. Known are ragas' columns, deepeval's
`metricsData`, and promptfoo's `vars`, `score` and `namedScores`; any other column of numbers is a metric, too.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from minirag.cli.rows import json_lines, read_fields
from minirag.cli.terminal import number, say, show, show_json, table, wrapped
from minirag.errors import InputError
from minirag.metrics.comparison import SCALE, compare
from minirag.statistics import replication
from minirag.statistics.findings import holm, losses_in_words, several_in_words
from minirag.statistics.power import figures_of, in_words, spaced, to_json

QUESTIONS = ("question_id", "question", "user_input", "input", "vars", "query", "prompt", "name")
"""Columns that name a question, ours first; the first that both files have is used."""
NOT_SCORES = set(
    "unnamed:_0 id idx index test_id testidx promptidx round seed order failurereason latency latencyms runduration "
    "completion_time completiontime cost evaluation_cost evaluationcost tokencost tokens inputtokencount "
    "outputtokencount".split()
)
"""Columns of numbers that are no scores."""
Row = Mapping[str, Any]


# -- runs --------------------------------------------------------------------------------------------------


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
    comparisons, texts = zip(*map(_read_run, names), strict=True)
    results = replication(comparisons)
    for name, asked in list(zip(names, texts, strict=True))[1:]:
        if shared := len(texts[0] & asked):
            say(f"{name} is another look at {shared} questions of {names[0]}, not fresh evidence.")
    if options.get("json"):
        show_json({"runs": names, "comparisons": results})
    else:
        show("\n".join(_lines(one, names) for one in results) or "No run compares a tuned model with anything.")
    return 0


def _read_run(name: str) -> tuple[dict[str, Any], set[str]]:
    """Return a finished run's `comparison.json` and the texts of its eval questions. Raises InputError."""
    try:
        comparison = json.loads((Path(name) / "comparison.json").read_text("utf-8"))
        if not isinstance(comparison, dict) or not isinstance(comparison.get("metrics"), dict):
            raise ValueError("comparison.json has no metrics")
        questions = json_lines(Path(name) / "questions.jsonl")
        return comparison, {row["text"] for row in questions if row["split"] == "eval"}
    except (FileNotFoundError, NotADirectoryError) as error:
        what = f"There is no finished run in {name} ({Path(error.filename).name} is missing)"
        raise InputError(f"{what}; name the folders of finished runs, or two files of scores.") from None
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"The run in {name} cannot be read ({error}); run it again.") from error


def _lines(one: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return a comparison in each of the runs, and how much the others differ from the first."""
    lines = [f"{spaced(one['metric'])}, tuned against {one['against']}: {one['outcome']}"]
    for name, run in zip(names, one["runs"], strict=True):
        verdict = f"{figures_of(run) or '–'}: {run['verdict']} ({run['n']} questions)" if run else "not compared"
        lines.append(f"  {name} {verdict}")
    for name, shift in zip(names[1:], one["shifts"], strict=True):
        lines.append(f"  {name} minus {names[0]} {figures_of(shift) if shift else 'not known'}")
    return "\n".join(map(wrapped, lines))


# -- files -------------------------------------------------------------------------------------------------


def files(options: Mapping[str, Any]) -> int:
    """Print for each metric of both files the difference, its interval, the verdict and the questions needed."""
    first, second = paths = [Path(name) for name in options["documents"]]
    # 1. What the files share: a column that names the question, and metrics.
    tables = [[_flat(row) for row in read_fields(path)] for path in paths]
    question = next((name for name in QUESTIONS if all(any(name in row for row in rows) for rows in tables)), None)
    if question is None:
        raise InputError(f"The files share no column that names the question, like {', '.join(QUESTIONS[:4])}.")
    cluster = _key(options.get("cluster", question))
    metrics = _metrics([_numbers(rows, {question, cluster}) for rows in tables], paths, options)
    primary = options.get("primary", "faithfulness" if "faithfulness" in metrics else metrics[0])
    if primary not in metrics:
        raise InputError(f"--primary {primary}: the files share the metrics {', '.join(metrics)}.")
    # 2. Their questions, with what these share among themselves.
    keyed = [[(" ".join(str(row.get(question, "")).split()), row) for row in rows] for rows in tables]
    if not {key for key, _ in keyed[0]} & {key for key, _ in keyed[1]}:
        raise InputError(f"The files have no {question} in common, so nothing can be paired.")
    questions = list(dict.fromkeys(key for rows in keyed for key, _ in rows))
    clusters = None
    if "cluster" in options:
        cluster_of = {key: str(row[cluster]) for rows in keyed for key, row in rows if cluster in row}
        if not cluster_of:
            raise InputError(f"No row has a {options['cluster']}; --cluster names a column like a page or a document.")
        clusters = [("", cluster_of[key]) if key in cluster_of else (key,) for key in questions]
    # 3. The comparisons, with their p-values corrected for each other.
    results = {}
    for metric in metrics:
        columns, scale = [_means(rows, questions, metric) for rows in keyed], options.get("range", SCALE)
        results[metric] = to_json(compare(*columns, clusters=clusters, margin=options.get("margin"), scale=scale))
    for result, p_value in zip(results.values(), holm([one["p_value"] for one in results.values()]), strict=True):
        result["p_holm"] = p_value
    if options.get("json"):
        show_json({"files": list(map(str, paths)), "paired_by": question, "primary": primary, "metrics": results})
        return 0
    say(f"{len(questions)} questions, paired by {question}; the difference is {second} minus {first}")
    family = {spaced(metric): one for metric, one in results.items()}
    means = [[name, number(one["base_mean"]), number(one["tuned_mean"]), f"{one['n']}"] for name, one in family.items()]
    names = (first.name, second.name) if first.name != second.name else (str(first), str(second))
    lines = [table(["mean over pairs", *names, "pairs"], means)]
    lines += [f"{name}{' (primary)' * (name == spaced(primary))} {in_words(one)}" for name, one in family.items()]
    lines += [losses_in_words(name, one) for name, one in family.items() if one["n"] and one["large_losses"]]
    show("\n".join([*lines, *several_in_words(spaced(primary), family)]))
    return 0


def _key(column: str) -> str:
    """Return a column's name as it is compared: deepeval's "Answer Relevancy" is `answer_relevancy`."""
    return "_".join(column.casefold().split())


def _flat(row: Row) -> dict[str, Any]:
    """Return a row without empty cells, with its metrics as columns of their own, whichever way a tool nests them."""
    cells = {_key(name or "").removeprefix("metric:_"): value for name, value in row.items()}
    for name in (
        "metrics_data",
        "metricsdata",
        "named_scores",
        "namedscores",
    ):  # [{"name", "score"}] or {"name": score}
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
    empty = {"", "nan", "none", "null"}
    return {name: value for name, value in cells.items() if str(value).strip().casefold() not in empty}


def _numbers(rows: Sequence[Row], others: set[str]) -> dict[str, list[float]]:
    """Return the columns of numbers that may be scores. Raises InputError if the rows are of several models."""
    models = {tuple(str(row.get(name)) for name in ("arm", "provider", "promptidx")) for row in rows}
    if len(models) > 1:
        raise InputError(f"A file holds the scores of {len(models)} models; give each model a file of its own.")
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row if name and name not in NOT_SCORES | others):
        values = [row[name] for row in rows if name in row]
        with suppress(TypeError, ValueError):
            if not any(isinstance(value, bool) for value in values):
                columns[name] = list(map(float, values))
    return columns


def _metrics(
    columns: Sequence[Mapping[str, Sequence[float]]], paths: Sequence[Path], options: Mapping[str, Any]
) -> list[str]:
    """Return the columns to compare: those of --metrics, or all that both files have. Raises InputError."""
    first, second = columns
    low, high = options.get("range", SCALE)
    shared = [name for name in first if name in second]
    wanted = [_key(name) for name in options.get("metrics", shared)]
    outside = {n: value for n in wanted if n in shared for value in [*first[n], *second[n]] if not low <= value <= high}
    for name, value in outside.items():
        fault = f"{name} is left out: it holds {value:g}, which is not from {low:g} to {high:g}"
        say(f"{fault}; if it is a score, give its range, as in --range 1,5 --metrics {name}.")
    metrics = [name for name in wanted if name in shared and name not in outside]
    if not metrics or ("metrics" in options and len(metrics) < len(wanted)):
        each = "; ".join(f"{path}: {', '.join(own) or 'none'}" for path, own in zip(paths, columns, strict=True))
        raise InputError(f"The files share no such column of scores. Columns of numbers in {each}.")
    return metrics


def _means(rows: Sequence[tuple[str, Row]], questions: Sequence[str], metric: str) -> list[float | None]:
    """Return the mean of each question's scores in a file, which may have several rows of it, or None without any."""
    values: dict[str, list[float]] = {key: [] for key in questions}
    for key, row in rows:
        if metric in row:
            values[key].append(float(row[metric]))
    return [sum(scores) / len(scores) if scores else None for scores in values.values()]
