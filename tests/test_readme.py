"""The README: its blocks run in order and print what stands below them; every README names only what exists.

Blocks that need a service run against the embedded server, under the names of its models.
"""

import hashlib
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pypdf import PdfWriter

from minirag import offline

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minirag"
README = (ROOT / "README.md").read_text("utf-8")
READMES = [ROOT / "README.md", *sorted(PACKAGE.rglob("README.md")), *sorted((ROOT / "scripts").rglob("README.md"))]
STAND_INS = {
    "gpt-6.1-sol": offline.TEACHER_MODEL,
    "gpt-6-luna": offline.JUDGE_MODEL,
    "Qwen/Qwen3-0.6B": offline.STUDENT_MODEL,
    "text-embedding-3-small": offline.EMBEDDING_MODEL,
    "sk-…": "none",
}
MARK = "-- the end of a block --"


class Block(NamedTuple):
    """A block of code, and what it says that it prints: the `text` block right below it, if there is one."""

    line: int
    language: str
    code: str
    output: str | None

    def __str__(self) -> str:
        return f"line {self.line}"


def blocks(text: str) -> Iterator[Block]:
    for match in re.finditer(r"^```(sh|python)\n(.*?)^```\n(?:```text\n(.*?)^```$)?", text, re.MULTILINE | re.DOTALL):
        yield Block(text.count("\n", 0, match.start()) + 1, *match.groups())


BLOCKS = list(blocks(README))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[Block, tuple[int, str]]:
    """Exit code and output of each block, run in order by somebody who has a checkout and two documents."""
    pinned = (ROOT / "pyproject.toml").read_bytes() + (ROOT / "constraints.txt").read_bytes()
    stamp = ROOT / ".venv" / ".installed-dev"
    if not stamp.exists() or stamp.read_text("utf-8").split() != [hashlib.sha256(pinned).hexdigest(), "-"]:
        pytest.skip("scripts/setup dev has not been run here: the demo would install")
    home = tmp_path_factory.mktemp("home")
    checkout = home / "minirag"
    checkout.mkdir()
    for path in ROOT.iterdir():
        if path.name not in {".git", "demo-run"}:
            (checkout / path.name).symlink_to(path)
    report = PdfWriter()
    report.append(PACKAGE / "data" / "sample-report.pdf", pages=(0, 8))  # the more, the longer it takes
    report.write(checkout / "report.pdf")
    (checkout / "notes.md").write_text((PACKAGE / "data" / "sample-report.md").read_text("utf-8")[3000:12000], "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTEST_"))}
    environment |= {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def run(*command: str) -> tuple[int, str]:
        streams: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
        process = subprocess.run(command, cwd=checkout, env=environment, check=False, **streams)
        return process.returncode, process.stdout

    outputs: dict[Block, tuple[int, str]] = {}
    with offline.serve() as server:
        environment["OPENAI_BASE_URL"] = server.base_url
        for block in BLOCKS:
            if block.language == "sh":
                code = re.sub(r"http://127\.0\.0\.1:\d+/v1", server.base_url, block.code)
                if "OPENAI_API_KEY" in code:
                    code = re.sub(r"^(pip install|minirag serve) .*$", "", code, flags=re.MULTILINE)
                    for name, ours in STAND_INS.items():
                        code = code.replace(name, ours)
                outputs[block] = run("bash", "-euo", "pipefail", "-c", code)
        python = [block for block in BLOCKS if block.language == "python"]
        code, text = run(sys.executable, "-c", f"print({MARK!r})\n".join(block.code for block in python))
        outputs |= {block: (code, part) for block, part in zip(python, text.split(f"{MARK}\n"), strict=True)}
    return outputs


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_each_block_runs_and_prints_what_stands_below_it(block: Block, printed: dict[Block, tuple[int, str]]) -> None:
    code, text = printed[block]
    assert code == 0, text
    if block.output is not None:
        assert usual(text) == usual(block.output)


def usual(text: str) -> str:
    """Output without what differs from run to run: a server's port, the progress of a slow machine."""
    text = re.sub(r"^[a-z]+ \d+/\d+\b.*\n| +$", "", text, flags=re.MULTILINE)
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", "PORT", text)


# -- what READMEs name -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.parent.name)
def test_every_file_that_a_readme_links_to_or_names_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (path.parent / link).exists(), link
    for name in re.findall(r"`?((?:tests|minirag|scripts)/[\w./-]*\w)", text):
        assert (ROOT / name).exists() or (ROOT / f"{name}.py").exists(), name


# -- read in this order ------------------------------------------------------------------------------------


def test_the_kernel_is_listed_whole_with_its_line_counts_and_each_file_imports_only_from_those_above() -> None:
    count = runpy.run_path(str(ROOT / "scripts" / "count"))
    rows = re.findall(r"^\| `(\w+)`(/?) \| [^|]+ \| ([\d,]+) \|$", README, re.MULTILINE)
    names = [name for name, _, _ in rows]
    kernel = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in count["kernel"]()}
    assert set(names) == kernel - {"__init__", "__main__"}
    assert count["reading_table"](README) == README, "scripts/count --readme writes the line counts anew"
    for name, imported in count["import_graph"]().items():
        if name.split(".")[0] in names:
            inner = {other.split(".")[0] for other in imported} & set(names) - {name.split(".")[0]}
            assert inner <= set(names[: names.index(name.split(".")[0])]), name
