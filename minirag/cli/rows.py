"""Row 9. `minirag evaluate FILE`: anybody's rows scored, without a run."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from minirag.batch.batches import Batches
from minirag.cli.connect import connect
from minirag.cli.resume import positive
from minirag.cli.terminal import Progress, cut, number, say, show, show_json
from minirag.cli.visible import visible
from minirag.errors import InputError, Unfinished
from minirag.evaluation import Scores, evaluate
from minirag.files import write_jsonl
from minirag.message_log import MessageLog
from minirag.models import ChatModel, EmbeddingModel
from minirag.rows import read_rows


def main(given: Mapping[str, Any]) -> int:
    """Score the rows of a file: scores and log go into a folder of their own, a table or JSON to stdout."""
    path = Path(given["documents"][0])
    rows = read_rows(path)
    metrics = given.get("metrics", ("faithfulness", "answer_relevancy"))
    is_offline = "offline" in given
    for role in ("judge", "embedding"):
        if role not in given and not is_offline and (role == "judge" or "answer_relevancy" in metrics):
            raise InputError(f"No model for --{role}: name one, or use --offline for the embedded models.")
    folder = given.get("out", Path(f"{path.name}-scores"))
    if (folder / "scores.jsonl").resolve() == path.resolve():
        raise InputError(f"The scores would replace {path}; give another folder with --out.")
    progress = Progress()
    with ExitStack() as stack:
        log = stack.enter_context(MessageLog(folder / "messages.jsonl"))
        service = connect(given, stack, folder, offline=is_offline)
        judge = ChatModel(
            given.get("judge", "offline-judge"),
            temperature=given.get("temperature", 0.0),
            tokenizer=given.get("tokenizer"),
            log=log,
            service=service,
        )
        embed = EmbeddingModel(given.get("embedding", "offline-embedding"), log=log, service=service)

        def scored() -> Scores:
            return evaluate(
                rows,
                metrics,
                judge,
                embed,
                rounds=positive(given, "rounds", 1),
                workers=1 if "batch" in given else positive(given, "workers", 8),
                window=given.get("judge_window"),
                progress=lambda done, total: progress("evaluate", done, total),
            )

        scores = Batches(service, log, say=say, progress=progress).run(scored, batched="batch" in given)
        write_jsonl(folder / "scores.jsonl", (row.to_json() for row in scores))
    say(f"evaluate: {len(scores)} scores in {folder / 'scores.jsonl'}")
    summary = scores.summary()
    show_json(summary) if given.get("json") else show(_table_of(summary))
    if failed := [row for row in scores if row.failed]:
        raise Unfinished(f"{len(failed)} scores are missing ({failed[0].score.reason}) Run again to resume.")
    return 0


def _table_of(summary: dict[str, Any]) -> str:
    """The means as lines of at most 79 characters, unscored rows with their reasons below."""
    lines = [f"{'arm':10} {'metric':20} {'mean':>7} {'n':>6} {'unscored':>9}"]
    for name, metrics in summary.items():
        arm = visible(name)[:10] or "–"
        for metric, facts in metrics.items():
            if metric == "ragas_score":
                lines.append(f"{arm:10} {'ragas score':20} {number(facts):>7}")
                continue
            mean, n, unscored = number(facts["mean"]), facts["n"], facts["n_unscored"]
            lines.append(f"{arm:10} {metric:20} {mean:>7} {n:>6} {unscored:>9}")
            lines += [cut(f"{'':13}{count} × {reason}") for reason, count in facts["unscored"].items()]
    return "\n".join(lines)
