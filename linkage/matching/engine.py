"""Where tile tasks run.

- A task is a picklable callable and an item a small value: the same ones run on threads here
  and on a cluster elsewhere.
- Results come in the order of the items; work ahead of the reader is bounded.
- Tasks release the interpreter lock (numba, nogil), so that threads use all cores.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs one task on many items."""

    def map(self, task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The task's results, in the order of the items."""
        ...


class LocalEngine:
    """Threads of this process.

    Args:
        threads: how many; None means one per core this process may use.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or available_cores()

    def map(self, task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The task's results, in order, with at most two tasks per thread under way."""
        waiting: deque[Future[Result]] = deque()
        left = iter(items)
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for item in islice(left, 2 * self.threads):
                    waiting.append(pool.submit(task, item))
                while waiting:
                    result = waiting.popleft().result()
                    for item in islice(left, 1):
                        waiting.append(pool.submit(task, item))
                    yield result
            finally:
                pool.shutdown(cancel_futures=True)


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
