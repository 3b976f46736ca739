"""Checks that settings of a manifest fit each other; messages name the place."""

from __future__ import annotations

from typing import Any


def distinct(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what}: {', '.join(map(repr, twice))} stands more than once")


def subset(where: str, names: Any, known: set[str], *, what: str = "field") -> None:
    missing = sorted(set(names) - known)
    if missing:
        raise ValueError(
            f"{where}: {', '.join(map(repr, missing))} is not a declared {what}"
            f" (declared: {', '.join(sorted(known)) or 'none'})"
        )
