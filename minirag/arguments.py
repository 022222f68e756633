"""Row 9. What the command line takes: one command for the whole run, and one for each of its steps."""

import argparse
import math
from pathlib import Path
from typing import Any

from minirag.evaluate import METRICS
from minirag.pipeline import VERSION

ROLES = ("teacher", "student", "judge", "embedding")
STEPS = {
    "index": "documents to chunks and vectors (chunks.jsonl, vectors.npy)",
    "questions": "… and the train and eval questions (questions.jsonl)",
    "ask": "… and the teacher's answers to the train questions (messages.jsonl)",
    "collect": "… and the training file (training.jsonl, training_report.json)",
    "finetune": "… and the tuned model (job.json)",
    "evaluate": "… and all arms' answers, judged (answers.jsonl, scores.jsonl)",
    "compare": "… and the paired comparison (comparison.json)",
    "report": "… and the bill and the report (costs.json, report.html)",
}


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=79)


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="minirag",
        formatter_class=_Help,
        description="Can a small model, tuned on a large one's answers over your documents,\nreplace it?",
        epilog="example:\n  minirag run report.pdf --offline --out out",
    )
    root.add_argument("--version", action="version", version=f"minirag {VERSION}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_step(commands, "run", "everything: documents in, verdict and report out")
    for step, text in STEPS.items():
        _add_step(commands, step, text)
    return root


def _add_step(commands: Any, name: str, text: str) -> None:
    command = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}."
        if name == "run"
        else f"The run up to: {text.removeprefix('… and ')}.",
        formatter_class=_Help,
        epilog=f"example:\n  minirag {name} report.pdf --offline --out out\n\n"
        "A folder that holds a run is resumed; without DOC its own settings are\nused, changed by the options given.",
        argument_default=argparse.SUPPRESS,
    )
    rows = ", or rows to score (.jsonl, .csv, a run's folder)" if name == "evaluate" else ""
    command.add_argument(
        "documents", nargs="*", metavar="DOC", help=f"PDF, text, Markdown, or an http(s) address{rows}"
    )
    command.add_argument("--out", required=name != "evaluate", type=Path, metavar="DIR", help="the run's folder")
    models = command.add_argument_group("models")
    models.add_argument("--offline", action="store_true", help="the embedded models: no key, no network")
    for role in ROLES:
        models.add_argument(f"--{role}", metavar="MODEL")
    models.add_argument("--base-url", metavar="URL", help="the service (default: OPENAI_BASE_URL, or OpenAI)")
    models.add_argument("--tuned", metavar="MODEL", help="a tuned model from elsewhere, instead of a job")
    models.add_argument("--tuned-base-url", metavar="URL", help="the service of --tuned")
    models.add_argument("--tokenizer", metavar="NAME", help="vocabulary to count unknown models' tokens with")
    models.add_argument("--temperature", type=_not_negative, metavar="T", help="of all chat calls (default 0)")
    questions = command.add_argument_group("questions")
    for split in ("train", "eval"):
        questions.add_argument(
            f"--{split}-questions",
            metavar="N|FILE",
            type=_count_or_file,
            help="how many to write, or a file (default 40)",
        )
    questions.add_argument("--seed", type=int, metavar="N", help="of the choice of pages, and of the job (default 0)")
    questions.add_argument(
        "--use-eval-pages", action="store_true", help="do not hide the eval questions' pages from training"
    )
    answers = command.add_argument_group("answers")
    for option, metavar, help_text in (
        ("--top-k", "N", "chunks given for a question (default 2)"),
        ("--context-window", "N", "tokens of the largest request (default 2048)"),
        ("--reply-tokens", "N", "of which reserved for the reply (default 256)"),
        ("--chunk-size", "N", "tokens of the largest chunk (default 1024)"),
        ("--chunk-overlap", "N", "tokens two chunks may share (default 128)"),
    ):
        answers.add_argument(option, type=int, metavar=metavar, help=help_text)
    training = command.add_argument_group("training and judging")
    training.add_argument("--suffix", metavar="TEXT", help="part of the tuned model's name")
    training.add_argument("--keep-all", action="store_true", help="train on abstentions and doubles too")
    training.add_argument("--judge-window", type=_positive, metavar="N", help="the judge's largest request")
    training.add_argument("--rounds", type=int, metavar="N", help="times each answer is judged (default 1)")
    training.add_argument("--metrics", type=_names, metavar="A,B", help="default: faithfulness,answer_relevancy")
    training.add_argument("--margin", type=_not_negative, metavar="X", help="smallest difference that matters to you")
    training.add_argument("--prices", type=Path, metavar="FILE", help="TOML with your prices")
    command.add_argument("--workers", type=int, metavar="N", help="calls in flight (default 8)")
    command.add_argument("--json", action="store_true", help="the result as JSON on stdout")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number from 0 upwards")
    return number


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"there is no metric {text!r}; choose from {', '.join(METRICS)}")
    return names


def _count_or_file(text: str) -> int | str:
    try:
        count = int(text)
    except ValueError:
        return text
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is no number of questions")
    return count
