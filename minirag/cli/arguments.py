"""What the command line accepts: every command and every option, as they stand in its help.

An argument is a row: its name with that of its value, and what it does. Behind the value, `*`, `+` and `?` say how many
there may be, and `!` that the command cannot do without it. How a value is read follows from its name (`TYPES`), unless
the row has a third field. Defaults of a run are those of `Settings`.
"""

import argparse
import json
import math
import re
import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from minirag import VERSION
from minirag.errors import InputError, printable, redact
from minirag.service import ROLE_KEYS, ROLES

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


def field(text: str) -> tuple[str, Any]:
    """Return the name and the value of a field of a request: JSON, or else a text.

    >>> field("reasoning_effort=low"), field("seed=7")
    (('reasoning_effort', 'low'), ('seed', 7))
    """
    name, sign, value = text.partition("=")
    if not (name.strip() and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    if name in OWN_FIELDS:
        raise argparse.ArgumentTypeError(f"{name} is set by minirag itself")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def score_range(text: str) -> tuple[float, float]:
    """Return the least and the most that a score can be. argparse says that a ValueError is a wrong value."""
    low, high = map(float, text.split(","))
    if not -math.inf < low < high < math.inf:
        raise ValueError
    return low, high


def count_or_file(text: str) -> Any:
    """Return a number of questions, or the path of a file with questions."""
    return number(int, 1)(text) if re.fullmatch(r"[+-]?\d+", text) else text


OWN_FIELDS = {
    *("model", "messages", "input", "n", "stream", "response_format", "encoding_format"),
    *("max_tokens", "max_completion_tokens", "extra_headers", "extra_query", "extra_body", "timeout"),
}
"""What no option may change: replies could not be read or would not fit the window, or it is no field of a request."""
SEED = number(int, 0, 2**31 - 1)
TYPES: dict[str, Converter] = {
    "N": number(int, 1),
    "N|FILE": count_or_file,
    "X": number(float, 0),
    "USD": number(float, 0),
    "URL": address,
    "DIR": Path,
    "A,B": lambda text: tuple(name.strip() for name in text.split(",")),
    "KEY=VALUE": field,
}
"""How a value is read, by its name in the help; all others are texts."""

JSON = ("--json", "print the result as JSON")
PRICES = ("--prices FILE", "TOML file with your prices, or 2023-08 for those of the article")
STORE = ("--store URL", "keep the index in PostgreSQL: postgresql://HOST/NAME")
BATCH = ("--batch", "send model calls through the Batch API: half the price, slower")

FIRST = "what matters first"
GROUPS: dict[str, list[Row]] = {
    FIRST: [
        ("--offline", "use the embedded models: no key, no network"),
        ("--teacher MODEL", "large model whose answers are learned"),
        ("--student MODEL", "small model that is tuned on them"),
        ("--judge MODEL", "model that scores all answers"),
        ("--embedding MODEL", "model that embeds chunks and questions"),
        ("--base-url URL", "address of the service (default: OPENAI_BASE_URL, or OpenAI)"),
        ("--train-questions N|FILE", "number to write, or a file of one a line (default 40)"),
        ("--eval-questions N|FILE", "number to write, or a file of one a line (default 40)"),
        ("--max-cost USD", "hard cap on the cost of all of the folder's calls"),
    ],
    "models and their services": [
        ("--config FILE", "settings, addresses too; ./minirag.toml unnamed gives no address"),
        ("--tuned MODEL", "evaluate this tuned model, and start no fine-tuning job"),
        ("--temperature X", "sampling temperature of all chat calls (default 0)"),
        ("--thinking-tokens N", "most tokens for thinking on top of a reply (default 32768)", number(int, 0)),
        ("--tokenizer FILE", "tokenizer.json (or encoding) of the models that are not OpenAI's"),
        ("--query-prefix TEXT", "put before each question that is embedded, such as 'query: '"),
        ("--passage-prefix TEXT", "put before each chunk that is embedded, such as 'passage: '"),
        *((f"--{role}-base-url URL", f"service of --{role}, with its key in {ROLE_KEYS[role]}") for role in ROLES),
        *((f"--{role}-option KEY=VALUE", f"field of each request to --{role}; repeatable") for role in ROLES),
        ("--insecure-http", "allow http:// to another machine"),
    ],
    "questions and answers": [
        ("--seed N", "seed for the choice of pages and for the job (default 0)", SEED),
        ("--top-k N", "chunks to retrieve for a question (default 2)"),
        ("--context-window N", "tokens of a request, reply included (default 2048)"),
        ("--reply-tokens N", "tokens of it that are reserved for the reply (default 256)"),
        ("--chunk-size N", "most tokens of a chunk (default 1024)"),
        ("--chunk-overlap N", "most tokens that two chunks share (default 128)", number(int, 0)),
    ],
    "training": [
        ("--keep-all", "keep every example that a service accepts"),
        ("--epochs N", "1 to 50 (default: the service's choice)", number(int, 1, 50)),
        ("--batch-size N", "1 to 256 (default: the service's choice)", number(int, 1, 256)),
        ("--learning-rate-multiplier X", "default: the service's choice", number(float, 1e-6)),
        ("--training-option KEY=VALUE", "field of the fine-tuning job's request; repeatable"),
    ],
    "judging and money": [
        ("--judge-window N", "tokens of a request to the judge (default: --context-window)"),
        ("--control", "judge the untrained student with a better prompt, too"),
        ("--rounds N", "how often each answer is judged (default 1)"),
        ("--metrics A,B", "default: faithfulness,answer_relevancy"),
        ("--margin X", "smallest difference that matters to you"),
        ("--primary METRIC[:ARM,ARM]", "what counts (default faithfulness:tuned,base)"),
        PRICES,
        ("--free A,B", "roles whose models cost nothing, like student"),
    ],
    "how to go about it": [
        ("--workers N", "calls in flight (default 8)"),
        ("--timeout N", "seconds for one call (default 600)"),
        ("--patience X", "minutes to wait while a rate limit lets nothing through (default 15)"),
        BATCH,
        STORE,
        JSON,
    ],
}
"""The options of a run: `--help` shows the first group, `--help-all` all. The last is not recorded."""
MACHINE: list[Row] = [
    ("--device NAME", "cpu, cuda, cuda:1 … (default: a GPU if there is one)"),
    ("--dtype NAME", "bfloat16, float16, float32 (default: bfloat16 on a GPU)"),
    ("--max-model-len N", "most tokens of prompt and answer (default: the model's)"),
    ("--chat-template FILE", "Jinja template for a model that has none"),
]
"""How a model is run on this machine."""
STEPS = {
    "run": ("report", "everything: documents in, verdict and report out"),
    "probe": ("", "ask each model a tiny question: what the services can do"),
    "index": ("store", "documents to chunks and vectors (chunks.jsonl, vectors.npy)"),
    "questions": ("questions", "… and the train and eval questions (questions.jsonl)"),
    "ask": ("training_answers", "… and the teacher's answers to the train questions (messages.jsonl)"),
    "collect": ("training_report", "… and the training file (training.jsonl, training_report.json)"),
    "finetune": ("tuned", "… and the tuned model (job.json)"),
    "evaluate": ("scores", "… and all models' answers, judged (answers.jsonl, scores.jsonl)"),
    "compare": ("comparison", "… and the paired comparison (comparison.json)"),
    "report": ("report", "… and the bill and the report (costs.json, report.html)"),
}
"""The steps of a run: the property of `Run` that a command asks for, and what it does."""
OTHERS = {
    "plan": ("money.plan", "estimate calls, tokens and money before a run", "report.pdf --offline --rounds 3"),
    "costs": ("money.costs", "print a run's bill, and when training pays off", "out --prices prices.toml"),
    "init": ("settings.init", "write a minirag.toml to fill in, which run and its steps read", ""),
    "verify": ("verify.main", "check that a run's files follow from its log", "out"),
    "check": ("check.main", "check chat files before training on them", "training.jsonl --model gpt-4.1-mini"),
    "label": ("label.main", "judge statements yourself, to correct the scores", "out --sample 50"),
    "serve": ("main.run_local", "serve and tune an open model on this machine", "Qwen/Qwen3-0.6B --port 8123"),
    "train": ("main.run_local", "tune an open model without a server", "chats.jsonl --model M --out tuned"),
}
"""The commands that are no step of a run: the module and function, what they do, and an example of their arguments."""
DOCUMENTS = dict.fromkeys((*STEPS, "plan"), "PDF, text, Markdown, or an http(s) address")
DOCUMENTS["evaluate"] += "; or rows to score (.jsonl, .csv, a run's folder)"
DOCUMENTS["compare"] += "; or finished runs, or two files of scores"
FOLDER = ("folder DIR", "folder of the run")
OPTIONS: dict[str, list[Row]] = {
    "run": [("--no-probe", "do not ask each model a tiny question first")],
    "finetune": [
        ("--status", "print the state of this run's job, its events and checkpoints"),
        ("--cancel", "cancel this run's job"),
        ("--download", "write the job's result files into DIR/results"),
    ],
    "compare": [
        ("--range LOW,HIGH", "of scores in two files (default 0,1; or =-1,1)", score_range),
        ("--cluster COLUMN", "of two files: what questions share, like a page"),
    ],
    "plan": [("--out DIR", "folder of a run, for its settings"), BATCH, JSON],
    "costs": [FOLDER, PRICES, JSON],
    "verify": [FOLDER, PRICES, STORE, JSON],
    "check": [
        ("files FILE+", "chat files, one example a line"),
        ("--model MODEL", "model to train (default gpt-4.1-mini)"),
        PRICES,
        JSON,
    ],
    "label": [FOLDER, ("--sample N", "statements, over all models (default 50)"), JSON],
    "serve": [
        ("model MODEL?", "model of the hub, folder, or GGUF file; none with --export"),
        ("--port N", "port to listen on (default: a free one)"),
        ("--state DIR", "folder of files, jobs and tuned models (default local-models)"),
        ("--name NAME", "name under which the model is served"),
        ("--embedding MODEL", "serve this embedding model, too"),
        ("--max-batch N", "most prompts to answer at once (default 16)"),
        ("--engine-url URL", "leave answering to a vLLM that runs there"),
        ("--export ID DIR", "only write this job's or model's adapter, and merged"),
        *MACHINE,
    ],
    "train": [
        ("file FILE", "chat file, one example a line"),
        ("--model MODEL!", "model of the hub, folder, GGUF file"),
        ("--out DIR!", "folder for the tuned model"),
        ("--validation FILE", "chat file whose loss is told after each epoch"),
        ("--epochs N", "1 to 50 (default: by the number of examples)", number(int, 1, 50)),
        ("--batch-size N", "1 to 256 (default: by the number of examples)", number(int, 1, 256)),
        ("--learning-rate-multiplier X", "default 1", number(float, 1e-6)),
        ("--seed N", "seed of order and adapter (default 0)", SEED),
        *MACHINE,
    ],
}
"""What a command takes beside its documents and settings; `--help` shows it."""
SERVICE = "out config offline base_url insecure_http timeout patience json".split()
JUDGE = (
    "judge judge_base_url judge_option judge_window embedding embedding_base_url embedding_option query_prefix".split()
)
SCORING = "metrics rounds temperature tokenizer thinking_tokens prices max_cost workers batch".split()
JOB = "status cancel download student_base_url".split()
FORMS = {
    "run.score_rows": ("evaluate FILE", {*SERVICE, *JUDGE, *SCORING}),
    "job.main": ("finetune --status, --cancel or --download", {*SERVICE, *JOB}),
    "compare.runs": ("compare with folders of runs", {"json"}),
    "compare.files": ("compare with two files of scores", set("cluster range metrics margin primary json".split())),
}
"""Forms of a step that use a few of its options only, by module and function: all others are refused."""
RESUMED = """\
A folder that holds a run is resumed. Without DOC, the settings of that run are
used, changed by the options. Settings may also stand in ./minirag.toml, which
`minirag init` writes; options win over it. --help-all shows all options."""
HELP: Any = partial(argparse.RawDescriptionHelpFormatter, max_help_position=28, width=79)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(printable(redact(message)))


def parser(*, show_all: bool = False) -> argparse.ArgumentParser:
    """Return the parser of all commands. An option that is not given is not in its result."""
    root = _Parser(
        prog="minirag",
        formatter_class=HELP,
        description="Can a small model, tuned on a large one's answers over your documents,\nreplace it?",
        epilog="example:\n  minirag run report.pdf --offline --out out",
    )
    root.add_argument("-V", "--version", action="version", version=f"minirag {VERSION}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    steps = {name: (*step, "report.pdf --offline --out out") for name, step in STEPS.items()}
    steps["compare"] = (*STEPS["compare"], "a.csv b.json --cluster page\n  minirag compare out-1 out-2")
    for name, (_, text, example) in {**steps, **OTHERS}.items():
        about = f"The run up to: {text.removeprefix('… and ')}." if "…" in text else f"{text[0].upper()}{text[1:]}."
        epilog = f"example:\n  minirag {name} {example}".rstrip() + (f"\n\n{RESUMED}" if name in STEPS else "")
        command = commands.add_parser(
            name, help=text, description=about, formatter_class=HELP, epilog=epilog, argument_default=argparse.SUPPRESS
        )
        needs_folder = name in STEPS and name not in {"probe", "evaluate", "compare"}
        if name in DOCUMENTS:
            command.usage = f"minirag {name} [DOC ...] {'--out DIR ' * needs_folder}[options]"
            _add(command, [("documents DOC*", DOCUMENTS[name])])
            command.add_argument("--help-all", action="help", help="show all options and exit")
        if name in STEPS:
            _add(command, [(f"--out DIR{'!' * needs_folder}", "folder of the run")])
        _add(command, OPTIONS.get(name, ()))
        for title in GROUPS if name in STEPS else [*GROUPS][:-1] if name in DOCUMENTS else ():
            _add(command.add_argument_group(title), GROUPS[title], is_hidden=not show_all and title != FIRST)
    return root


def settings_of_file(path: Path) -> dict[str, Any]:
    """Return the options that stand in a TOML file, as the command line would give them.

    `train-questions = 80` is `--train-questions 80`, `control = true` is `--control`, and a list is a repeated option.
    Raises InputError for a file that is no TOML; a wrong option in it ends the program as on the command line.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"Cannot read {path}: {error}.") from error
    words = []
    for name, value in table.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not False and item != "":
                words.append(f"--{name}" if item is True else f"--{name}={item}")
    reader = _Parser(prog=str(path), usage=argparse.SUPPRESS, argument_default=argparse.SUPPRESS, allow_abbrev=False)
    for rows in GROUPS.values():
        _add(reader, rows)
    return vars(reader.parse_args(words))


def _add(command: Any, rows: Sequence[Row], *, is_hidden: bool = False) -> None:
    """Add options and other arguments to a command, or to a group of its options."""
    for row in rows:
        name, _, value = row[0].partition(" ")
        values, mark = value.rstrip("*+?!").split(), value[-1:]
        how: dict[str, Any] = {"help": argparse.SUPPRESS if is_hidden else row[1]}
        if not values:
            how["action"] = "store_true"
        else:
            how["type"] = row[2] if len(row) == 3 else TYPES.get(values[0], str)
            how["metavar"] = values[0] if len(values) == 1 else tuple(values)
        if mark == "!":
            how["required"] = True
        elif mark in {"*", "+", "?"}:
            how["nargs"] = mark
        elif len(values) > 1:
            how["nargs"] = len(values)
        elif value.startswith("KEY="):
            how["action"] = "append"
        command.add_argument(name, **how)
