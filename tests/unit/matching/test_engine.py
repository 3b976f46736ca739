from __future__ import annotations

import threading

import pytest

from linkage.matching import LocalEngine


def test_results_come_in_order() -> None:
    assert list(LocalEngine(3).map(lambda n: n * n, range(50))) == [n * n for n in range(50)]
    assert list(LocalEngine().map(lambda n: n, [])) == []


def test_work_ahead_of_the_reader_is_bounded() -> None:
    started, gate = [], threading.Event()

    def task(n: int) -> int:
        started.append(n)
        gate.wait(5)
        return n

    results = LocalEngine(2).map(task, range(100))
    gate.set()
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert len(started) <= 6


def test_an_error_reaches_the_reader() -> None:
    def task(n: int) -> float:
        return 1 / (n - 3)

    with pytest.raises(ZeroDivisionError):
        list(LocalEngine(2).map(task, range(10)))
