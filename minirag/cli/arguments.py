"""Row 9. What the command line takes: one command for the whole run, and one for each of its steps."""

import argparse
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from minirag.cli.visible import visible
from minirag.errors import redact
from minirag.version import VERSION

PRICES_HELP = "TOML with your prices, or 2023-08 for those of the article"
BATCH_HELP = "model calls through the Batch API: half the price, slower"
STORE_HELP = "keep the index in a database: postgresql://HOST/NAME"
FORMATS = ("csv", "md")
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


class _Parser(argparse.ArgumentParser):
    """What is wrong with an argument is said without the keys that may stand in it."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(redact(message)))


def parser() -> argparse.ArgumentParser:
    root = _Parser(
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
    _add_plan(commands)
    _add_costs(commands)
    _add_verify(commands)
    _add_check(commands)
    _add_label(commands)
    return root


def _add(commands: Any, name: str, text: str, example: str) -> Any:
    """A command that is no step of a run."""
    return commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        formatter_class=_Help,
        epilog=f"example:\n  minirag {example}",
        argument_default=argparse.SUPPRESS,
    )


def _add_plan(commands: Any) -> None:
    text = "what a run would take: calls, tokens, money, and what it could show"
    command = _add(
        commands,
        "plan",
        text,
        "plan report.pdf --teacher gpt-4.1 --student gpt-4.1-mini \\\n"
        "    --judge gpt-6.1-sol --embedding text-embedding-3-small",
    )
    command.add_argument("documents", nargs="*", metavar="DOC", help="as for run")
    command.add_argument("--out", type=Path, metavar="DIR", help="a run's folder, for its settings")
    command.add_argument("--batch", action="store_true", help=BATCH_HELP)
    _add_settings(command)


def _add_costs(commands: Any) -> None:
    text = "the bill of a run, price ratios of three models, and when training pays off"
    command = _add(commands, "costs", text, "costs out --questions-per-day 200")
    command.add_argument("folder", nargs="?", type=Path, default=None, metavar="DIR", help="the run's folder")
    command.add_argument("--models", type=_three, metavar="BASE,TUNED,TEACHER", help="these instead of the run's own")
    command.add_argument("--prices", metavar="FILE", help=PRICES_HELP)
    command.add_argument("--questions-per-day", type=_positive, metavar="N", help="to tell in how many days")
    command.add_argument(
        "--hosting-per-minute", type=_not_negative, metavar="USD", help="what the tuned model costs idle"
    )
    command.add_argument("--json", action="store_true", help="the result as JSON on stdout")


def _add_verify(commands: Any) -> None:
    text = "whether a run's files follow from its log; no key, no network"
    command = _add(commands, "verify", text, "verify out")
    command.add_argument("folder", type=Path, metavar="DIR", help="the run's folder")
    command.add_argument("--prices", metavar="FILE", help="the prices that the run was given")
    command.add_argument("--store", type=_address, metavar="URL", help=STORE_HELP)
    command.add_argument("--json", action="store_true", help="the result as JSON on stdout")


def _add_label(commands: Any) -> None:
    text = "a person judges statements, to measure the judge and correct the scores"
    command = _add(commands, "label", text, "label out --sample 50")
    command.add_argument("folder", type=Path, metavar="DIR", help="the run's folder")
    command.add_argument("--sample", type=_positive, metavar="N", help="statements, over all arms (default 50)")
    command.add_argument("--seed", type=_seed, metavar="N", help="of the sample (default 0)")
    command.add_argument("--json", action="store_true", help="the result as JSON on stdout")


def _add_check(commands: Any) -> None:
    text = "whether services would train on chat files, and whether you should"
    command = _add(commands, "check", text, "check training.jsonl --curate --model gpt-4.1-mini")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="chat files, one example a line")
    command.add_argument("--validation", type=Path, metavar="FILE", help="a validation file, which must not overlap")
    command.add_argument("--curate", action="store_true", help="which examples `collect` would keep, and why not")
    command.add_argument("--eval-questions", type=Path, metavar="FILE", help="questions that no prompt may hold")
    command.add_argument("--model", metavar="MODEL", help="to be trained (default gpt-4.1-mini)")
    command.add_argument("--prices", metavar="FILE", help=PRICES_HELP)
    command.add_argument("--json", action="store_true", help="the result as JSON on stdout")


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
    others = {
        "evaluate": ", or rows to score (.jsonl, .csv, a run's folder)",
        "compare": ", or the folders of several runs: does what the first found hold in the others?",
    }
    command.add_argument(
        "documents", nargs="*", metavar="DOC", help=f"PDF, text, Markdown, or an http(s) address{others.get(name, '')}"
    )
    command.add_argument(
        "--out", required=name not in {"evaluate", "compare"}, type=Path, metavar="DIR", help="the run's folder"
    )
    if name == "run":
        command.add_argument("--dry-run", action="store_true", help="only say what it would take, like plan")
    if name == "report":
        command.add_argument("--format", choices=FORMATS, dest="tables", help="and scores and comparison as tables")
    if name == "compare":
        command.add_argument("--html", type=Path, metavar="FILE", help="a report of the several runs")
    if name == "questions":
        command.add_argument("--review", action="store_true", help="accept, reject or reword each in the terminal")
        command.add_argument("--editor", action="store_true", help="the same in $EDITOR")
    if name == "finetune":
        command.add_argument("--status", action="store_true", help="show this run's job, its events and checkpoints")
        command.add_argument("--cancel", action="store_true", help="cancel this run's job")
    command.add_argument("--batch", action="store_true", help=BATCH_HELP)
    command.add_argument("--max-cost", type=_not_negative, metavar="USD", help="hard cap on all of the folder's calls")
    command.add_argument("--workers", type=int, metavar="N", help="calls in flight (default 8)")
    command.add_argument("--store", type=_address, metavar="URL", help=STORE_HELP)
    _add_settings(command, formats=name != "report")


def _add_settings(command: Any, *, formats: bool = True) -> None:
    """What a run is asked to do, in groups; `formats` of the training file, unless the command has its own."""
    models = command.add_argument_group("models")
    models.add_argument("--offline", action="store_true", help="the embedded models: no key, no network")
    for role in ROLES:
        models.add_argument(f"--{role}", metavar="MODEL")
    models.add_argument(
        "--base-url", type=_address, metavar="URL", help="the service (default: OPENAI_BASE_URL, or OpenAI)"
    )
    models.add_argument("--insecure-http", action="store_true", help="allow http:// to a service on another machine")
    models.add_argument("--tuned", metavar="MODEL", help="a tuned model from elsewhere, instead of a job")
    models.add_argument(
        "--student-base-url", type=_address, metavar="URL", help="the service of --student, and of its job"
    )
    models.add_argument(
        "--tuned-base-url", type=_address, metavar="URL", help="the service of --tuned (default: the student's)"
    )
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
    questions.add_argument("--seed", type=_seed, metavar="N", help="of the choice of pages, and of the job (default 0)")
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
    answers.add_argument(
        "--ef-search", type=_candidates, metavar="N", help="with --store: HNSW with N candidates (default 0, exact)"
    )
    _add_training(command.add_argument_group("training"), formats=formats)
    judging = command.add_argument_group("judging and money")
    judging.add_argument("--judge-window", type=_positive, metavar="N", help="the judge's largest request")
    judging.add_argument("--control", action="store_true", help="judge the untrained student with a better prompt too")
    judging.add_argument("--rounds", type=int, metavar="N", help="times each answer is judged (default 1)")
    judging.add_argument("--metrics", type=_names, metavar="A,B", help="default: faithfulness,answer_relevancy")
    judging.add_argument("--margin", type=_not_negative, metavar="X", help="smallest difference that matters to you")
    judging.add_argument("--prices", metavar="FILE", help=PRICES_HELP)
    command.add_argument("--json", action="store_true", help="the result as JSON on stdout")


def _add_training(training: Any, *, formats: bool) -> None:
    training.add_argument("--keep-all", action="store_true", help="train on everything a service accepts")
    training.add_argument(
        "--abstain-share", type=_share, metavar="X", help="right refusals among the examples (default 0)"
    )
    training.add_argument(
        "--idle-refines",
        choices=("drop", "verbatim"),
        help="refine steps that added nothing: leave out (default), or train on the earlier answer word for word",
    )
    training.add_argument(
        "--system-as-sent", action="store_true", help="do not give all examples the same system message"
    )
    training.add_argument(
        "--validation-share", type=_share, metavar="X", help="examples held out, no page on both sides (default 0)"
    )
    if formats:
        training.add_argument(
            "--format", choices=("chat", "prompt-completion"), help="the second is written beside the first"
        )
    training.add_argument("--suffix", metavar="TEXT", help="part of the tuned model's name")
    training.add_argument("--epochs", type=int, metavar="N", help="1 to 50 (default: the service's choice)")
    training.add_argument("--batch-size", type=int, metavar="N", help="1 to 256 (default: the service's choice)")
    training.add_argument("--learning-rate-multiplier", type=float, metavar="X", help="default: the service's choice")
    training.add_argument(
        "--job-minutes", type=_positive, metavar="N", help="longest wait for the job (default: no limit)"
    )


def _address(text: str) -> str:
    if not text.strip():  # a variable that is not set must not stand for another service
        raise argparse.ArgumentTypeError("it is empty, perhaps a variable that is not set; name an address")
    return text


def _positive(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,17}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 upwards")
    return int(text)


def _candidates(text: str) -> int | None:
    """0 takes back what the run was given before: exact search."""
    if not re.fullmatch(r"\d{1,4}", text) or int(text) > 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 (exact) to 1000")
    return int(text) or None


def _seed(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text) or int(text) >= 1 << 31:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {(1 << 31) - 1}")
    return int(text)


def _not_negative(text: str) -> float:
    number = _number(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 upwards")
    return number


def _share(text: str) -> float:
    share = _number(text)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share from 0 to below 1")
    return share


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _three(text: str) -> list[str]:
    models = [name.strip() for name in text.split(",") if name.strip()]
    if len(models) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} does not name three models")
    return models


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return names


def _count_or_file(text: str) -> int | str:
    try:
        count = int(text)
    except ValueError:
        return text
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is no number of questions")
    return count
