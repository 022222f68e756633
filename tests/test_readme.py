"""The README: its files exist, its table names every module, its Python runs."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

import minirag
from minirag import offline

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_reading_table_names_every_module_of_the_core() -> None:
    table = README.split("## Read in this order")[1].split("##")[0]
    named = set(re.findall(r"`([a-z_]+)/?`", table))
    package = Path(minirag.__file__).parent
    modules = {path.stem for path in package.glob("*.py") if not path.stem.startswith("__")}
    assert named == modules | {"metrics", "offline", "statistics", "commands", "charts", "report"}


def test_every_script_it_names_exists() -> None:
    for name in set(re.findall(r"scripts/([a-z_]+)", README)):
        assert (ROOT / "scripts" / name).exists(), name


def test_its_ten_lines_run_against_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("report.pdf").symlink_to(ROOT / "minirag" / "data" / "sample-report.pdf")
    code = PYTHON[0].replace("gpt-4.1-mini", "offline-teacher").replace("text-embedding-3-small", "offline-embedding")
    scope: dict[str, Any] = {}
    with offline.serve() as server:
        monkeypatch.setitem(os.environ, "OPENAI_BASE_URL", server.base_url)
        exec(code, scope)
        scope["log"].close()
        for model in ("chat", "embed"):
            scope[model].service.close()
    assert scope["score"].value == 1.0
    assert "because" in scope["answer"].text


def test_its_example_of_a_test_passes() -> None:
    exec(PYTHON[1], {})


def test_its_example_of_a_cassette_test_is_the_one_that_test_recorded_runs() -> None:
    shown = [block for block in PYTHON if "def test_" in block]
    assert all(block in (ROOT / "cassettes" / "README.md").read_text("utf-8") for block in shown)


def test_the_versions_agree() -> None:
    from minirag.pipeline import VERSION

    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text("utf-8")
