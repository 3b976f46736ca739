"""The last thing that was made, kept while it would be made from the same.

An act that is asked again and again, as others are waited for, reads no file twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Last(Generic[T]):
    """Remembers one thing."""

    def __init__(self) -> None:
        self._kept: tuple[object, T] | None = None

    def get(self, made_from: object, make: Callable[[], T]) -> T:
        """What was made last if it was made from the same, or else what is made now."""
        if self._kept is None or self._kept[0] != made_from:
            self._kept = made_from, make()
        return self._kept[1]
