"""How many threads attacks work on.

- `in_parts` is for compiled code that lets go of Python's lock.
- Linear algebra starts threads of its own, which wait for each other in busy loops: where other
  programs need the cores, an audit then takes many times as long as on one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

from threadpoolctl import threadpool_limits

_MOST: ContextVar[int | None] = ContextVar("most", default=None)


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """Work on at most so many threads; None: every core, and one for linear algebra."""
    before = _MOST.set(threads)
    try:
        with threadpool_limits(limits=threads or 1, user_api="blas"):
            yield
    finally:
        _MOST.reset(before)


def most() -> int:
    """At most so many threads; where nothing was said, as many as there are cores."""
    return _MOST.get() or os.cpu_count() or 1


def in_parts(rows: int, size: int, work: Callable[[int, int], None]) -> None:
    """Call `work(start, stop)` for every part of so many rows.

    Raises:
        Exception: whatever a part raised.
    """
    starts = range(0, rows, size)
    with ThreadPoolExecutor(min(most(), max(1, len(starts)))) as pool:
        for part in [pool.submit(work, at, min(at + size, rows)) for at in starts]:
            part.result()
