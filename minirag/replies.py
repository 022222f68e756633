"""Strict JSON: NaN and Infinity are refused."""

from typing import Any


def no_constant(name: str) -> Any:
    """Raise ValueError: for `parse_constant` of the json module, as NaN and Infinity are not JSON."""
    raise ValueError(f"{name} is not JSON")
