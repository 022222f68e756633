"""What the command line accepts: every command and option, in tables. Defaults of a run are those of `Settings`."""

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from minirag import VERSION
from minirag.cli.terminal import visible
from minirag.errors import redact


def checked(convert: Callable[[str], Any], fits: Callable[[Any], bool], wanted: str) -> Callable[[str], Any]:
    """Return a converter for argparse that refuses text which `convert` cannot read, or whose value does not fit."""

    def converter(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return converter


def names(text: str) -> tuple[str, ...]:
    """Return the names in a list with commas."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


COUNT = checked(int, lambda n: n >= 1, "a whole number from 1 upwards")
SEED = checked(int, lambda n: 0 <= n < 2**31, "a whole number from 0 to 2147483647")
CANDIDATES = checked(int, lambda n: 0 <= n <= 1000, "a whole number from 0 to 1000")
AMOUNT = checked(float, lambda x: 0 <= x < math.inf, "a number from 0 upwards")
SHARE = checked(float, lambda x: 0 <= x < 1, "a number from 0 to below 1")
ADDRESS = checked(str, lambda text: bool(text.strip()), "an address: it is empty, perhaps a variable that is not set")
NAMES = checked(names, bool, "a list of names")


def count_or_file(text: str) -> int | str:
    """Return a number of questions, or the path of a file with questions."""
    return int(COUNT(text)) if re.fullmatch(r"[+-]?\d+", text) else text


class Option(NamedTuple):
    """One option: `value` is its name in help texts, a tuple of choices, or None for a flag."""

    name: str
    value: str | tuple[str, ...] | None
    help: str
    type: Callable[[str], Any] = str


JSON = Option("--json", None, "print the result as JSON")
PRICES = Option("--prices", "FILE", "TOML file with your prices, or 2023-08 for those of the article")
STORE = Option("--store", "URL", "keep the index in PostgreSQL: postgresql://HOST/NAME", ADDRESS)
BATCH = Option("--batch", None, "send model calls through the Batch API: half the price, slower")
OUT = Option("--out", "DIR", "folder of the run", Path)

ROLES = ("teacher", "student", "judge", "embedding")
SETTINGS = {
    "models": (
        Option("--offline", None, "use the embedded models: no key, no network"),
        Option("--teacher", "MODEL", "large model whose answers are learned"),
        Option("--student", "MODEL", "small model that is tuned on them"),
        Option("--judge", "MODEL", "model that scores all answers"),
        Option("--embedding", "MODEL", "model that embeds chunks and questions"),
        Option("--base-url", "URL", "address of the service (default: OPENAI_BASE_URL, or OpenAI)", ADDRESS),
        Option("--insecure-http", None, "allow http:// to another machine"),
        Option("--tuned", "MODEL", "evaluate this tuned model, and start no fine-tuning job"),
        Option("--student-base-url", "URL", "service of --student and of its fine-tuning job", ADDRESS),
        Option("--tuned-base-url", "URL", "service of --tuned (default: the student's)", ADDRESS),
        Option("--tokenizer", "NAME", "tiktoken vocabulary for models that it does not know"),
        Option("--temperature", "T", "sampling temperature of all chat calls (default 0)", AMOUNT),
    ),
    "questions": (
        Option("--train-questions", "N|FILE", "number to write, or a file of one a line (default 40)", count_or_file),
        Option("--eval-questions", "N|FILE", "number to write, or a file of one a line (default 40)", count_or_file),
        Option("--seed", "N", "seed for the choice of pages and for the job (default 0)", SEED),
        Option("--use-eval-pages", None, "do not hide the eval questions' pages from training"),
    ),
    "answers": (
        Option("--top-k", "N", "chunks to retrieve for a question (default 2)", int),
        Option("--context-window", "N", "tokens of a request, reply included (default 2048)", int),
        Option("--reply-tokens", "N", "tokens of it that are reserved for the reply (default 256)", int),
        Option("--chunk-size", "N", "most tokens of a chunk (default 1024)", int),
        Option("--chunk-overlap", "N", "most tokens that two chunks share (default 128)", int),
        Option("--ef-search", "N", "with --store: candidates of an HNSW search (default 0: exact)", CANDIDATES),
    ),
    "training": (
        Option("--keep-all", None, "keep every example that a service accepts"),
        Option("--abstain-share", "X", "share of correct refusals among the examples (default 0)", SHARE),
        Option("--idle-refines", ("drop", "verbatim"), "refine steps that add nothing (default drop)"),
        Option("--system-as-sent", None, "keep the system message of each example as it was sent"),
        Option("--validation-share", "X", "share of examples to hold out, by page (default 0)", SHARE),
        Option("--format", ("chat", "prompt-completion"), "also write the file as prompt-completion (default chat)"),
        Option("--suffix", "TEXT", "part of the tuned model's name"),
        Option("--epochs", "N", "1 to 50 (default: the service's choice)", int),
        Option("--batch-size", "N", "1 to 256 (default: the service's choice)", int),
        Option("--learning-rate-multiplier", "X", "default: the service's choice", float),
        Option("--job-minutes", "N", "longest wait for the job (default: no limit)", COUNT),
    ),
    "judging and money": (
        Option("--judge-window", "N", "tokens of a request to the judge (default: --context-window)", COUNT),
        Option("--control", None, "judge the untrained student with a better prompt, too"),
        Option("--rounds", "N", "how often each answer is judged (default 1)", COUNT),
        Option("--metrics", "A,B", "default: faithfulness,answer_relevancy", NAMES),
        Option("--margin", "X", "smallest difference that matters to you", AMOUNT),
        PRICES,
    ),
}
"""What a run is asked to do, by groups of the help text."""

STEPS = {
    "index": "documents to chunks and vectors (chunks.jsonl, vectors.npy)",
    "questions": "… and the train and eval questions (questions.jsonl)",
    "ask": "… and the teacher's answers to the train questions (messages.jsonl)",
    "collect": "… and the training file (training.jsonl, training_report.json)",
    "finetune": "… and the tuned model (job.json)",
    "evaluate": "… and all models' answers, judged (answers.jsonl, scores.jsonl)",
    "compare": "… and the paired comparison (comparison.json)",
    "report": "… and the bill and the report (costs.json, report.html)",
}
STEP_OPTIONS = {
    "run": [Option("--dry-run", None, "only print what the run would take, like plan")],
    "questions": [
        Option("--review", None, "accept, reject or reword each question in the terminal"),
        Option("--editor", None, "the same in $EDITOR"),
    ],
    "finetune": [
        Option("--status", None, "print the state of this run's job, its events and checkpoints"),
        Option("--cancel", None, "cancel this run's job"),
    ],
    "compare": [Option("--html", "FILE", "write a report of the several runs", Path)],
    "report": [Option("--format", ("csv", "md"), "write scores and comparison as tables, too")],
}
RUN_OPTIONS = [
    BATCH,
    Option("--max-cost", "USD", "hard cap on the cost of all of the folder's calls", AMOUNT),
    Option("--workers", "N", "calls in flight (default 8)", COUNT),
    STORE,
    JSON,
]
RESUMED = """

A folder that holds a run is resumed. Without DOC, the settings of that run are
used, changed by the options."""
DOCUMENTS = "PDF, text, Markdown, or an http(s) address"
MORE_DOCUMENTS = {
    "evaluate": "; or rows to score (.jsonl, .csv, a run's folder)",
    "compare": "; or the folders of several finished runs",
}


class Command(NamedTuple):
    """A command that is no step of a run; `argument` is its positional one, in the words of argparse."""

    help: str
    example: str
    argument: Mapping[str, Any]
    options: Sequence[Option]


FOLDER = {"dest": "folder", "metavar": "DIR", "type": Path, "help": OUT.help}
COMMANDS = {
    "plan": Command(
        "estimate calls, tokens and money before a run",
        "plan report.pdf --offline --train-questions 80",
        {"dest": "documents", "nargs": "*", "metavar": "DOC", "help": "as for run"},
        [OUT._replace(help="folder of a run, for its settings"), BATCH, JSON],
    ),
    "costs": Command(
        "print a run's bill, and when training pays off",
        "costs out --questions-per-day 200",
        {**FOLDER, "nargs": "?", "default": None},
        [
            Option("--models", "BASE,TUNED,TEACHER", "price these three models, not the run's own", NAMES),
            PRICES,
            Option("--questions-per-day", "N", "print in how many days training pays off", COUNT),
            Option("--hosting-per-minute", "USD", "rent of the tuned model, used or not", AMOUNT),
            JSON,
        ],
    ),
    "verify": Command("check that a run's files follow from its log", "verify out", FOLDER, [PRICES, STORE, JSON]),
    "check": Command(
        "check chat files before training on them",
        "check training.jsonl --curate --model gpt-4.1-mini",
        {"dest": "files", "nargs": "+", "type": Path, "metavar": "FILE", "help": "chat files, one example a line"},
        [
            Option("--validation", "FILE", "validation file, which must not overlap", Path),
            Option("--curate", None, "print which examples `collect` would keep, and why not"),
            Option("--eval-questions", "FILE", "questions that no prompt may contain", Path),
            Option("--model", "MODEL", "model to train (default gpt-4.1-mini)"),
            PRICES,
            JSON,
        ],
    ),
    "label": Command(
        "judge statements yourself, to correct the scores",
        "label out --sample 50",
        FOLDER,
        [
            Option("--sample", "N", "statements, over all models (default 50)", COUNT),
            Option("--seed", "N", "seed of the sample (default 0)", SEED),
            JSON,
        ],
    ),
}


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=79)
        self._action_max_length = 15  # argparse forgets the indentation of commands: one would wrap


class _Parser(argparse.ArgumentParser):
    """A parser whose errors show no key that stands in an argument."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(redact(message)))


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands. An option that is not given is not in its result."""
    root = _Parser(
        prog="minirag",
        formatter_class=_Help,
        description="Can a small model, tuned on a large one's answers over your documents,\nreplace it?",
        epilog="example:\n  minirag run report.pdf --offline --out out",
    )
    root.add_argument("--version", action="version", version=f"minirag {VERSION}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in {"run": "everything: documents in, verdict and report out", **STEPS}.items():
        step = _add(commands, name, text, f"{name} report.pdf --offline --out out")
        out_is_optional = name in MORE_DOCUMENTS
        step.usage = f"minirag {name} [DOC ...] {'[--out DIR]' if out_is_optional else '--out DIR'} [options]"
        step.epilog += RESUMED
        step.add_argument("documents", nargs="*", metavar="DOC", help=DOCUMENTS + MORE_DOCUMENTS.get(name, ""))
        step.add_argument("--out", required=not out_is_optional, type=Path, metavar="DIR", help=OUT.help)
        _add_options(step, [*STEP_OPTIONS.get(name, ()), *RUN_OPTIONS])
        _add_settings(step, omit="--format" if name == "report" else "")  # `report` has a --format of its own
    for name, command in COMMANDS.items():
        other = _add(commands, name, command.help, command.example)
        other.add_argument(**command.argument)
        _add_options(other, command.options)
        if name == "plan":
            other.usage = "minirag plan [DOC ...] [options]"
            _add_settings(other)
    return root


def _add(commands: Any, name: str, text: str, example: str) -> Any:
    about = f"The run up to: {text.removeprefix('… and ')}." if name in STEPS else f"{text[0].upper()}{text[1:]}."
    return commands.add_parser(
        name,
        help=text,
        description=about,
        formatter_class=_Help,
        epilog=f"example:\n  minirag {example}",
        argument_default=argparse.SUPPRESS,
    )


def _add_settings(command: Any, omit: str = "") -> None:
    for title, options in SETTINGS.items():
        _add_options(command.add_argument_group(title), [option for option in options if option.name != omit])


def _add_options(command: Any, options: Sequence[Option]) -> None:
    for option in options:
        if option.value is None:
            command.add_argument(option.name, action="store_true", help=option.help)
        elif isinstance(option.value, tuple):
            destination = "tables" if option.value == ("csv", "md") else None
            command.add_argument(option.name, choices=option.value, dest=destination, help=option.help)
        else:
            command.add_argument(option.name, type=option.type, metavar=option.value, help=option.help)
