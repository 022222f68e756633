"""`minirag serve` and `minirag train`: this process becomes that of a model on this machine."""

import json
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NoReturn

from minirag.errors import InputError


def main(options: Mapping[str, Any]) -> NoReturn:
    """Replace this process by `python -m minirag.local`, which has torch; what it prints and its exit code are ours."""
    if missing := [name for name in ("torch", "transformers", "peft") if not find_spec(name)]:
        raise InputError(f"{', '.join(missing)} not installed: pip install 'minirag[local]'")
    sys.stdout.flush()
    given = json.dumps(dict(options), default=str)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "minirag.local", given])
