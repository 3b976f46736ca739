"""How many threads attacks work on."""

from __future__ import annotations

from threading import Barrier, BrokenBarrierError, get_ident

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from linkage.risk.threads import in_parts, limited


def of_algebra() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


@pytest.mark.parametrize(("threads", "most"), [(None, 1), (1, 1), (2, 2)])
def test_linear_algebra_works_on_one_thread_unless_told(threads: int | None, most: int) -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        before = of_algebra()
        with limited(threads):
            assert of_algebra() == {most}
        assert of_algebra() == before


def test_parts_are_worked_on_by_at_most_so_many() -> None:
    both = Barrier(2, timeout=5)
    with limited(2):
        in_parts(2, 1, lambda _start, _stop: both.wait() and None)
    seen = set()
    with limited(1):
        in_parts(4, 1, lambda _start, _stop: seen.add(get_ident()))
    assert len(seen) == 1
    alone = Barrier(2, timeout=0.1)
    with limited(1), pytest.raises(BrokenBarrierError):
        in_parts(2, 1, lambda _start, _stop: alone.wait() and None)
