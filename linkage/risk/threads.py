"""Many rows' work in parts, on every core. Only for compiled code that lets go of Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def in_parts(rows: int, size: int, work: Callable[[int, int], None]) -> None:
    """Call `work(start, stop)` for every part of so many rows.

    Raises:
        Exception: whatever a part raised.
    """
    starts = range(0, rows, size)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, max(1, len(starts)))) as pool:
        for part in [pool.submit(work, at, min(at + size, rows)) for at in starts]:
            part.result()
