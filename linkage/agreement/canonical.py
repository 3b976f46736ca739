"""Canonical JSON (RFC 8785) and the fingerprints made of it."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def canonical(value: Any) -> bytes:
    """The one byte string that stands for a JSON value (RFC 8785)."""
    return rfc8785.dumps(value)


def fingerprint(data: bytes) -> str:
    """SHA-256 of `data` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()
