"""Canonical JSON (RFC 8785) and the fingerprints made of it."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

MAX_DEPTH = 32
LARGEST_NUMBER = (1 << 53) - 1
"""Beyond it two whole numbers may be one and the same floating-point number."""


def canonical(value: Any) -> bytes:
    """The one byte string that stands for a JSON value (RFC 8785)."""
    return rfc8785.dumps(value)


def fingerprint(data: bytes) -> str:
    """SHA-256 of `data` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def unsignable(value: Any) -> str | None:
    """What in a JSON value has no canonical form, or not one that reads as the same value again.

    Returns:
        Place and reason, or None. No part of the value is shown but the names of its settings.
    """
    waiting: list[tuple[Any, tuple[str, ...]]] = [(value, ())]
    while waiting:
        at, place = waiting.pop()
        reason = "is nested too deeply" if len(place) > MAX_DEPTH else _reason(at)
        if reason:
            return f"{'.'.join(place)}: {reason}" if place else reason
        if isinstance(at, dict):
            for name, item in at.items():
                if problem := _reason(name):
                    return f"{'.'.join(place) or 'object'}: the name of a setting {problem}"
                waiting.append((item, (*place, name)))
        elif isinstance(at, list):
            waiting += [(item, (*place, str(number))) for number, item in enumerate(at)]
    return None


def _reason(value: Any) -> str | None:
    if isinstance(value, str):
        # Half of a surrogate pair has no UTF-8.
        return None if value.isascii() or value == _repaired(value) else "is not valid Unicode text"
    if isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
        return f"is not a number from -{LARGEST_NUMBER} to {LARGEST_NUMBER}"
    known = value is None or isinstance(value, int | float | dict | list)
    return None if known else "is no JSON value"


def _repaired(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
