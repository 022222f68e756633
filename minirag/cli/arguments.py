"""What the command line accepts: every command and every option, as they stand in its help.

An option is a row: its name with the name of its value or its {choices}, and what it does. How a value is read follows
from the value's name (`TYPES`), unless the row has a third field. Defaults of a run are those of `Settings`.
"""

import argparse
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from minirag import VERSION
from minirag.cli.terminal import visible
from minirag.errors import redact

Converter = Callable[[str], Any]
Row = tuple[str, str] | tuple[str, str, Converter]


def number(kind: type[int] | type[float], low: float, high: float = math.inf) -> Converter:
    """Return a converter for argparse that takes numbers from `low` to `high`."""
    noun = "a whole number" if kind is int else "a number"
    wanted = f"{noun} from {low} upwards" if high == math.inf else f"{noun} from {low} to {high}"

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return convert


def address(text: str) -> str:
    """Return an address, which must not be empty: that would mean another service than the user wants."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an address: it is empty, perhaps a variable that is not set")
    return text


def names(text: str) -> tuple[str, ...]:
    """Return the names in a list with commas."""
    items = tuple(item.strip() for item in text.split(",") if item.strip())
    if not items:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names")
    return items


def count_or_file(text: str) -> Any:
    """Return a number of questions, or the path of a file with questions."""
    return number(int, 1)(text) if re.fullmatch(r"[+-]?\d+", text) else text


SEED, SHARE = number(int, 0, 2**31 - 1), number(float, 0, 0.99)
TYPES: dict[str, Converter] = {
    "N": number(int, 1),
    "N|FILE": count_or_file,
    "X": number(float, 0),
    "USD": number(float, 0),
    "URL": address,
    "DIR": Path,
    "A,B": names,
}
"""How a value is read, by its name in the help; all others are texts."""

JSON = ("--json", "print the result as JSON")
PRICES = ("--prices FILE", "TOML file with your prices, or 2023-08 for those of the article")
STORE = ("--store URL", "keep the index in PostgreSQL: postgresql://HOST/NAME")
BATCH = ("--batch", "send model calls through the Batch API: half the price, slower")

SETTINGS: dict[str, list[Row]] = {
    "models": [
        ("--offline", "use the embedded models: no key, no network"),
        ("--teacher MODEL", "large model whose answers are learned"),
        ("--student MODEL", "small model that is tuned on them"),
        ("--judge MODEL", "model that scores all answers"),
        ("--embedding MODEL", "model that embeds chunks and questions"),
        ("--base-url URL", "address of the service (default: OPENAI_BASE_URL, or OpenAI)"),
        ("--insecure-http", "allow http:// to another machine"),
        ("--tuned MODEL", "evaluate this tuned model, and start no fine-tuning job"),
        ("--student-base-url URL", "service of --student and of its fine-tuning job"),
        ("--tuned-base-url URL", "service of --tuned (default: the student's)"),
        ("--tokenizer NAME", "tiktoken vocabulary for models that it does not know"),
        ("--temperature X", "sampling temperature of all chat calls (default 0)"),
    ],
    "questions": [
        ("--train-questions N|FILE", "number to write, or a file of one a line (default 40)"),
        ("--eval-questions N|FILE", "number to write, or a file of one a line (default 40)"),
        ("--seed N", "seed for the choice of pages and for the job (default 0)", SEED),
        ("--use-eval-pages", "do not hide the eval questions' pages from training"),
    ],
    "answers": [
        ("--top-k N", "chunks to retrieve for a question (default 2)"),
        ("--context-window N", "tokens of a request, reply included (default 2048)"),
        ("--reply-tokens N", "tokens of it that are reserved for the reply (default 256)"),
        ("--chunk-size N", "most tokens of a chunk (default 1024)"),
        ("--chunk-overlap N", "most tokens that two chunks share (default 128)", number(int, 0)),
        ("--ef-search N", "with --store: candidates of an HNSW search (default 0: exact)", number(int, 0, 1000)),
    ],
    "training": [
        ("--keep-all", "keep every example that a service accepts"),
        ("--abstain-share X", "share of correct refusals among the examples (default 0)", SHARE),
        ("--validation-share X", "share of examples to hold out, by page (default 0)", SHARE),
        ("--suffix TEXT", "part of the tuned model's name"),
        ("--epochs N", "1 to 50 (default: the service's choice)", number(int, 1, 50)),
        ("--batch-size N", "1 to 256 (default: the service's choice)", number(int, 1, 256)),
        ("--learning-rate-multiplier X", "default: the service's choice", number(float, 1e-6)),
        ("--job-minutes N", "longest wait for the job (default: no limit)"),
    ],
    "judging and money": [
        ("--judge-window N", "tokens of a request to the judge (default: --context-window)"),
        ("--control", "judge the untrained student with a better prompt, too"),
        ("--rounds N", "how often each answer is judged (default 1)"),
        ("--metrics A,B", "default: faithfulness,answer_relevancy"),
        ("--margin X", "smallest difference that matters to you"),
        PRICES,
    ],
}
"""What a run is asked to do, by groups of the help text."""
RUN: list[Row] = [
    BATCH,
    ("--max-cost USD", "hard cap on the cost of all of the folder's calls"),
    ("--workers N", "calls in flight (default 8)"),
    STORE,
    JSON,
]
STEPS = {
    "run": "everything: documents in, verdict and report out",
    "index": "documents to chunks and vectors (chunks.jsonl, vectors.npy)",
    "questions": "… and the train and eval questions (questions.jsonl)",
    "ask": "… and the teacher's answers to the train questions (messages.jsonl)",
    "collect": "… and the training file (training.jsonl, training_report.json)",
    "finetune": "… and the tuned model (job.json)",
    "evaluate": "… and all models' answers, judged (answers.jsonl, scores.jsonl)",
    "compare": "… and the paired comparison (comparison.json)",
    "report": "… and the bill and the report (costs.json, report.html)",
}
OTHERS = {
    "plan": ("estimate calls, tokens and money before a run", "plan report.pdf --offline --train-questions 80"),
    "costs": ("print a run's bill, and when training pays off", "costs out --prices prices.toml"),
    "verify": ("check that a run's files follow from its log", "verify out"),
    "check": ("check chat files before training on them", "check training.jsonl --curate --model gpt-4.1-mini"),
    "label": ("judge statements yourself, to correct the scores", "label out --sample 50"),
}
"""The commands that are no step of a run, each with an example."""
OPTIONS: dict[str, list[Row]] = {
    "run": [("--dry-run", "only print what the run would take, like plan")],
    "questions": [("--review", "accept, reject or reword each question in the terminal")],
    "finetune": [
        ("--status", "print the state of this run's job, its events and checkpoints"),
        ("--cancel", "cancel this run's job"),
    ],
    "compare": [("--html FILE", "write a report of the several runs", Path)],
    "report": [("--format {csv,md}", "write scores and comparison as tables, too")],
    "plan": [("--out DIR", "folder of a run, for its settings"), BATCH, JSON],
    "costs": [PRICES, JSON],
    "verify": [PRICES, STORE, JSON],
    "check": [
        ("--validation FILE", "validation file, which must not overlap", Path),
        ("--curate", "print which examples `collect` would keep, and why not"),
        ("--eval-questions FILE", "questions that no prompt may contain", Path),
        ("--model MODEL", "model to train (default gpt-4.1-mini)"),
        PRICES,
        JSON,
    ],
    "label": [
        ("--sample N", "statements, over all models (default 50)"),
        ("--seed N", "seed of the sample (default 0)", SEED),
        JSON,
    ],
}
"""The options that a command has of its own."""
ALSO = {"evaluate": "; or rows to score (.jsonl, .csv, a run's folder)", "compare": "; or folders of finished runs"}
"""What else DOC may be; then --out is optional."""
RESUMED = (
    "A folder that holds a run is resumed. Without DOC, the settings of that run are\nused, changed by the options."
)


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=79)
        self._action_max_length = 15  # argparse forgets the indentation of commands: one would wrap


class _Parser(argparse.ArgumentParser):
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
    steps = {name: (text, f"{name} report.pdf --offline --out out") for name, text in STEPS.items()}
    for name, (text, example) in {**steps, **OTHERS}.items():
        about = f"The run up to: {text.removeprefix('… and ')}." if "…" in text else f"{text[0].upper()}{text[1:]}."
        epilog = f"example:\n  minirag {example}" + (f"\n\n{RESUMED}" if name in STEPS else "")
        command = commands.add_parser(
            name,
            help=text,
            description=about,
            formatter_class=_Help,
            epilog=epilog,
            argument_default=argparse.SUPPRESS,
        )
        if name in STEPS or name == "plan":
            out = "" if name == "plan" else "[--out DIR] " if name in ALSO else "--out DIR "
            command.usage = f"minirag {name} [DOC ...] {out}[options]"
            documents = f"PDF, text, Markdown, or an http(s) address{ALSO.get(name, '')}"
            command.add_argument("documents", nargs="*", metavar="DOC", help=documents)
        elif name == "check":
            command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="chat files, one example a line")
        else:
            command.add_argument("folder", type=Path, metavar="DIR", help="folder of the run")
        if name in STEPS:
            command.add_argument("--out", required=name not in ALSO, type=Path, metavar="DIR", help="folder of the run")
        _add_options(command, [*OPTIONS.get(name, ()), *(RUN if name in STEPS else ())])
        if name in STEPS or name == "plan":
            for title, rows in SETTINGS.items():
                _add_options(command.add_argument_group(title), rows)
    return root


def _add_options(command: Any, rows: Sequence[Row]) -> None:
    for row in rows:
        name, _, value = row[0].partition(" ")
        if not value:
            command.add_argument(name, action="store_true", help=row[1])
        elif value.startswith("{"):
            destination = "tables" if value == "{csv,md}" else None
            command.add_argument(name, choices=value.strip("{}").split(","), dest=destination, help=row[1])
        else:
            convert = row[2] if len(row) == 3 else TYPES.get(value, str)
            command.add_argument(name, type=convert, metavar=value, help=row[1])
