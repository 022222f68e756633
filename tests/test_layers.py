"""The architecture: modules import only from rows above their own, and the door to each library is one module.

First-party imports stand at the top of modules. Two places load a module by its name when it is needed: `__init__`,
which looks a public name up at its first use, and `cli`, which runs one command and needs no other.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import minirag

PACKAGE = Path(minirag.__file__).parent

ROWS = [
    {
        "arms",
        "deadline",
        "differences",
        "errors",
        "files",
        "in_flight",
        "markup",
        "pool",
        "prompts",
        "quantities",
        "redact",
        "replies",
        "retry",
        "sentences",
        "spread",
        "tokens",
        "version",
        "visible",
        "wording",
        "similar",
    },
    {
        "cleaning",
        "content_stream",
        "documents",
        "download",
        "message_log",
        "pdf",
        "pdf_child",
        "pdf_workers",
        "postgres",
        "prompt_parts",
        "refinement",
        "refusals",
        "seen",
        "suspicious",
    },
    {"chat_file", "chat_rules", "chunker", "curation", "holdout", "models", "replay", "service"},
    {
        "passes",
        "postgres_store",
        "postgres_table",
        "rehearsal",
        "testing",
        "training_file",
        "vector_store",
        "window",
    },
    {"query", "questions", "rows", "trial"},
    {"batch_files", "conflicts", "costs", "decisions", "job_calls", "metrics", "shutdowns", "submission", "training"},
    {
        "audit",
        "batch",
        "breakdown",
        "budget",
        "evaluation",
        "finetune",
        "job_history",
        "labels",
        "paired",
        "payback",
        "settings",
        "statistics",
        "tally",
    },
    {
        "charts",
        "comparison",
        "findings",
        "pipeline",
        "plan",
        "question_table",
        "questionnaire",
        "report",
        "report_style",
        "replication",
        "saved_run",
        "tables",
        "word_diff",
    },
    {"__init__", "__main__", "arguments", "cli", "commands", "connect", "resume", "terminal", "training_table"},
]
DOORS = {
    "openai": {"models", "service", "finetune"},
    "pypdf": {"content_stream", "pdf_child"},
    "tiktoken": {"tokens"},
    "httpx": {"download"},
    "psycopg": {"postgres", "postgres_store", "postgres_table"},
    "pgvector": {"postgres"},
}


def modules() -> dict[str, Path]:
    """Module names without the package (`metrics.score`), and their files."""
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}


def first_party(path: Path) -> set[str]:
    """The minirag modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "minirag":
            inner = node.module.removeprefix("minirag").lstrip(".")
            found |= {inner} if inner else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("minirag.") for a in node.names if a.name.startswith("minirag.")}
    return found


def row_of(module: str) -> int:
    top = module.split(".", maxsplit=1)[0]
    return next(number for number, row in enumerate(ROWS) if top in row)


def test_every_module_stands_in_one_row() -> None:
    tops = {name.split(".")[0] for name in modules()} - {"offline"}
    assert tops == set().union(*ROWS)


def test_modules_import_only_from_rows_above_or_beside_without_cycles() -> None:
    graph = {name: first_party(path) for name, path in modules().items() if not name.startswith("offline")}
    for name, imports in graph.items():
        for other in imports:
            assert row_of(other) <= row_of(name), f"{name} imports {other} from a row below"
    seen: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"import cycle {(*trail, name)}"
        if name not in seen:
            for other in graph.get(name, ()):
                visit(other, (*trail, name))
            seen.add(name)

    for name in graph:
        visit(name, ())


def test_nothing_imports_the_offline_server() -> None:
    for name, path in modules().items():
        if not name.startswith("offline"):
            assert "offline" not in {i.split(".")[0] for i in first_party(path)}, name


def test_each_library_has_one_door() -> None:
    for library, doors in DOORS.items():
        for name, path in modules().items():
            imports = {
                alias.name if isinstance(node, ast.Import) else node.module or ""
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in node.names
            }
            if any(i.split(".")[0] == library for i in imports):
                assert name in doors, f"{name} imports {library}"


def test_first_party_imports_stand_at_the_top_of_modules() -> None:
    for name, path in modules().items():
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef):
                for node in ast.walk(function):
                    assert not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minirag")), name


def test_only_the_package_and_the_command_line_load_modules_by_name() -> None:
    loading = {name for name, path in modules().items() if "import_module(" in path.read_text("utf-8")}
    assert loading == {"__init__", "cli"}


def loaded(code: str) -> set[str]:
    """The libraries that a process has loaded when it has run `code`."""
    libraries = {"numpy", "openai", "pypdf", "tiktoken", "httpx", "httpx2", "pandas", "scipy", "psycopg", "pgvector"}
    tell = f"import atexit, sys; atexit.register(lambda: print(*({libraries} & set(sys.modules)), file=sys.stderr))"
    done = subprocess.run([sys.executable, "-c", f"{tell}; {code}"], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_importing_minirag_loads_no_library() -> None:
    assert loaded("import minirag") == set()


def test_using_all_of_its_public_names_loads_no_library_but_numpy() -> None:
    assert loaded("from minirag import *") == {"numpy"}


@pytest.mark.parametrize("command", [[], ["run"], ["evaluate"], ["costs"], ["check"]])
def test_help_loads_no_library(command: list[str]) -> None:
    assert loaded(f"import minirag.cli.main; minirag.cli.main.main({[*command, '--help']})") == set()


def test_a_bill_loads_no_library() -> None:
    assert (
        loaded("import minirag.cli.main; minirag.cli.main.main(['costs', '--models', 'gpt-4.1-mini,x,gpt-4.1'])")
        == set()
    )


def test_a_public_name_is_not_hidden_by_a_module_of_that_name() -> None:
    assert set(minirag.__all__).isdisjoint({name.split(".")[0] for name in modules()})


def test_what_type_checkers_see_are_the_public_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = [
        (alias.name, node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    assert sorted(seen) == [(name, f"minirag.{minirag._MODULES[name]}") for name in minirag.__all__]


def test_the_public_names_are_these() -> None:
    assert minirag.__all__ == [
        "Answer",
        "ChatModel",
        "Chunk",
        "Comparison",
        "EmbeddingModel",
        "Exchange",
        "FineTuningJob",
        "MessageLog",
        "MiniragError",
        "Page",
        "QueryEngine",
        "Run",
        "Score",
        "VectorStore",
        "answer_relevancy",
        "chunk",
        "compare",
        "context_precision",
        "context_recall",
        "context_relevancy",
        "evaluate",
        "faithfulness",
        "load",
        "write_training_file",
    ]
    assert all(hasattr(minirag, name) and getattr(minirag, name).__doc__ for name in minirag.__all__)


def test_every_sentence_that_a_model_reads_stands_in_prompts() -> None:
    for name, path in modules().items():
        if name != "prompts" and not name.startswith("offline"):
            assert '"role": "system"' not in path.read_text("utf-8"), name
