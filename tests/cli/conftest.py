"""What several tests of the command line need."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from places import Place

from minirag.server import Server

PAGES = "\f".join(f"The {name} of Velm opened in 19{n}0 and has {n} halls." for n, name in enumerate("abcdefgh", 2))


@pytest.fixture
def place() -> Iterator[tuple[Place, str]]:
    with Server(place := Place()) as server:
        yield place, server.base_url


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "velm.txt"
    path.write_text(PAGES)
    return path
