"""The README: its blocks run in order and print what stands below them, and its table is the code's.

Blocks that need a service run against the embedded server, under the names of its models, and those that need a
database against that of the tests. Only what fetches packages or trains with TRL is left out (`NOT_HERE`); of those
lines the options are looked up.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import minirag
from minirag import offline
from minirag.cli.arguments import STEPS, parser
from minirag.pipeline import VERSION
from test_layers import PACKAGE, ROWS, first_party, modules

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")

NOT_HERE = ("python3 -m venv", "pip install", "scripts/train_with_trl", "transformers serve")
STAND_INS = {
    "gpt-4.1-mini": offline.STUDENT_MODEL,
    "gpt-4.1": offline.TEACHER_MODEL,
    "gpt-6.1-sol": offline.JUDGE_MODEL,
    "text-embedding-3-small": offline.EMBEDDING_MODEL,
    "sk-…": "none",
    "--tuned tuned": f"--tuned {offline.STUDENT_MODEL}",
    "--port 8765": "--port 0",
}
DATABASE = "postgresql://db.example/chunks"
TO_STAND_IN = ("OPENAI_API_KEY", "--tuned-base-url", "--port 8765")
"""What a block says that asks a service of its reader's, or is one."""
OWN_TEST = "test_my_script.py"
MARK = "-- the end of a block --"


class Block(NamedTuple):
    """A block of code, and what it says that it prints: the `text` block right below it, if there is one."""

    line: int
    language: str
    code: str
    shown: str | None

    def __str__(self) -> str:
        return f"line {self.line}"


def blocks() -> Iterator[Block]:
    for found in re.finditer(r"^```(sh|python)\n(.*?)^```\n(?:```text\n(.*?)^```$)?", README, re.MULTILINE | re.DOTALL):
        yield Block(README.count("\n", 0, found.start()) + 1, *found.groups())


BLOCKS = list(blocks())
SHELL = [block for block in BLOCKS if block.language == "sh"]
OF_A_TEST = next(block for block in BLOCKS if "def test_" in block.code)
PYTHON = [block for block in BLOCKS if block.language == "python" and block != OF_A_TEST]


# -- the blocks --------------------------------------------------------------------------------------------


class Reader:
    """Somebody with a checkout, a document and a project of their own, who does what the README says, from the top."""

    def __init__(self, home: Path, service: str, database: str) -> None:
        self.checkout, self.project = home / "minirag", home / "project"
        self._service, self._database = service, database
        self.checkout.mkdir()
        self.project.mkdir()
        for path in ROOT.iterdir():
            if path.name not in {".git", "demo-run"}:
                (self.checkout / path.name).symlink_to(path)
        shutil.copy(PACKAGE / "data" / "sample-report.pdf", self.checkout / "report.pdf")
        text = (PACKAGE / "data" / "sample-report.md").read_text("utf-8")
        (self.checkout / "notes.md").write_text(text[3000:12000], "utf-8")
        theirs = ("OPENAI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PYTEST_")
        self._env = {name: value for name, value in os.environ.items() if not name.upper().startswith(theirs)}
        self._env |= {
            "HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "OPENAI_BASE_URL": service,
        }

    def runs(self, block: Block) -> tuple[int, str]:
        """The exit code of a shell block, and all that it prints; of a server in the background, its first lines."""
        code = "".join(line for line in block.code.splitlines(keepends=True) if not line.startswith(NOT_HERE))
        if any(word in code for word in TO_STAND_IN):
            code = re.sub(r"http://127\.0\.0\.1:\d+/v1", self._service, stood_in(code))
        process = self._start(["bash", "-euo", "pipefail", "-c", code.removesuffix("&\n")], code)
        if not code.endswith("&\n"):
            printed, _ = process.communicate()
            return process.returncode, printed
        assert process.stdout
        assert block.shown
        printed = "".join(process.stdout.readline() for _ in block.shown.splitlines())
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()
        return 0, printed

    def runs_python(self, blocks: list[Block]) -> list[str]:
        """What each block prints, all of them in one interpreter."""
        code = f"print({MARK!r})\n".join(block.code for block in blocks)
        process = self._start([sys.executable, "-c", code], code)
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
        return printed.split(f"{MARK}\n")

    def _start(self, command: list[str], code: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [part.replace(DATABASE, self._database) for part in command],
            cwd=self.project if OWN_TEST in code else self.checkout,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )


def stood_in(code: str) -> str:
    for name, ours in STAND_INS.items():
        code = code.replace(name, ours)
    return code


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> dict[Block, tuple[int, str]]:
    """Exit code and output of each block that can run here."""
    article = ROOT.parent / "shared" / "nvidia-10k" / "finetuning_events.jsonl"
    with offline.serve() as server:
        reader = Reader(tmp_path_factory.mktemp("home"), server.base_url, postgres)
        own_test = OF_A_TEST.code.replace("gpt-4.1-mini", offline.JUDGE_MODEL)
        (reader.project / OWN_TEST).write_text(own_test, "utf-8")
        if article.exists():
            shutil.copy(article, reader.checkout)
        done = {block: reader.runs(block) for block in SHELL if article.exists() or article.name not in block.code}
    return done | {block: (0, text) for block, text in zip(PYTHON, reader.runs_python(PYTHON), strict=True)}


@pytest.mark.parametrize("block", [block for block in BLOCKS if block != OF_A_TEST], ids=str)
def test_each_block_runs_and_prints_what_stands_below_it(block: Block, printed: dict[Block, tuple[int, str]]) -> None:
    if block not in printed:
        pytest.skip("the article's training file is not beside the project")
    code, text = printed[block]
    assert code == 0, text
    if block.shown is not None:
        assert re.fullmatch(pattern_of(block.shown), usual(text)), text


def usual(text: str) -> str:
    """Output without what differs from run to run (a server's port, the progress of a slow machine), and line ends."""
    text = re.sub(r"^[a-z]+ \d+/\d+\b.*\n| +$", "", text, flags=re.MULTILINE)
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", "PORT", text)


def pattern_of(shown: str) -> str:
    """What a text block allows: itself, and any lines where it has a line of three dots."""
    return "".join(
        r"(?:.*\n)*" if line == "…\n" else re.escape(line) for line in usual(shown).splitlines(keepends=True)
    )


def test_nothing_printed_to_a_file_holds_a_control_character(printed: dict[Block, tuple[int, str]]) -> None:
    for block, (_, text) in printed.items():
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), block


def test_no_block_says_what_nothing_runs() -> None:
    fences = re.findall(r"^```(\w+)$", README, re.MULTILINE)
    drawings = fences.count("text") - sum(block.shown is not None for block in BLOCKS)
    assert set(fences) == {"sh", "python", "text"}
    assert drawings == 1  # the flow


def test_its_example_of_a_cassette_test_is_the_one_that_stands_beside_the_cassettes() -> None:
    assert OF_A_TEST.code in (ROOT / "cassettes" / "README.md").read_text("utf-8")


# -- what it names -----------------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Each `minirag …` of the blocks and of the running text."""
    for block in SHELL:
        yield from re.findall(r"^minirag .*", block.code.replace("\\\n", ""), re.MULTILINE)
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"(?<!`)`(minirag [a-z][^`]*)`", prose)


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_the_command_line_takes_each_command(command: str) -> None:
    words = [word for word in shlex.split(re.sub(r"[\[\]…]", "", command), comments=True)[1:] if word]
    files = {"check": ["FILE"], "verify": ["DIR"]}.get(words[0], []) if len(words) == 1 else []
    folder = ["--out", "DIR"] if words[0] in STEPS and "--out" not in words else []
    assert parser().parse_args([*words, *files, *folder]).command == words[0]


def test_each_option_is_one_of_a_command_or_a_script() -> None:
    programs = [
        *(ROOT / "scripts").glob("*[a-z]"),
        *(ROOT / "scripts" / "benchmarks").glob("*.py"),
        PACKAGE / "arguments.py",
        PACKAGE / "offline" / "__main__.py",
    ]
    known = "\n".join(path.read_text("utf-8") for path in programs if path.is_file())
    splits = {"--train-questions", "--eval-questions", "--teacher", "--student", "--judge", "--embedding"}
    others = {"--record-mode", "--block-network", "--host", "--help"}  # of pytest-recording, transformers, argparse
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - splits - others:
        assert f'"{option}"' in known, option


def test_every_script_it_names_exists() -> None:
    for name in set(re.findall(r"scripts/([a-z_]+)", README)):
        assert (ROOT / "scripts" / name).exists(), name


def test_every_file_it_links_to_exists() -> None:
    for name in re.findall(r"\]\(([^)]+)\)", README) + re.findall(r"`((?:tests|minirag)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name


def test_it_names_what_is_public() -> None:
    told = re.search(r"`import minirag` offers (\d+) names.*?: (.*?)\.$", README, re.MULTILINE | re.DOTALL)
    assert told is not None
    assert int(told[1]) == len(minirag.__all__) <= 25
    assert re.findall(r"`(\w+)`", told[2]) == minirag.__all__


def test_the_versions_agree() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text("utf-8")


# -- read in this order ------------------------------------------------------------------------------------

TABLE = re.findall(r"^\| (\d|–) \| `(\w+)(/?)` \| ([^|]+) \| ([\d,]+) \|$", README, re.MULTILINE)


def lines_of(paths: list[Path]) -> str:
    count = sum(len(path.read_text("utf-8").splitlines()) for path in paths)
    return f"{count:,}"


def test_the_reading_table_has_each_file_and_package_once_in_its_row() -> None:
    rows = {name: str(number) for number, row in enumerate(ROWS, 1) for name in row} | {"offline": "–"}
    assert {name: row for row, name, *_ in TABLE} == {k: v for k, v in rows.items() if not k.startswith("__")}
    assert len(TABLE) == len({name for _, name, *_ in TABLE})


def test_its_line_counts_are_those_of_the_files() -> None:
    found = {
        name: lines_of(list((PACKAGE / name).rglob("*.py")) if slash else [PACKAGE / f"{name}.py"])
        for _, name, slash, *_ in TABLE
    }
    assert {name: lines for _, name, _, _, lines in TABLE} == found, "see scripts/count"
    assert f"| all of it | | {lines_of(list(PACKAGE.rglob('*.py')))} |" in README


def test_it_can_be_read_downwards_each_file_below_all_that_it_imports() -> None:
    order = [name for _, name, *_ in TABLE]
    assert [row for row, *_ in TABLE] == sorted((row for row, *_ in TABLE), key="123456789–".index)
    for name in order:
        if name in modules():
            above = order[: order.index(name)]
            assert {other.split(".")[0] for other in first_party(modules()[name])} <= {*above}, name
