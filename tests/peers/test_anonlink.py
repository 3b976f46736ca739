"""Our one-to-one assignment is that of anonlink's greedy solver, given the same scored pairs.

anonlink runs in the peers' environment; without it (`make peers`) these tests are skipped.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from linkage.matching import ScoredPairs
from linkage.matching.assignment import assign

HERE = Path(__file__).parent
PEER = HERE.parents[1] / ".venv-peers/bin/python"

pytestmark = pytest.mark.skipif(not PEER.exists(), reason="anonlink is not there: run `make peers`")


def made_up(random: np.random.Generator, rows: int, *, ties: bool) -> ScoredPairs:
    """Each left row's partner, and rivals for it; weights like those the model gives."""
    rivals = random.integers(0, 4, rows)
    left = np.repeat(np.arange(rows), rivals + 1).astype(np.int32)
    right = random.integers(0, rows, len(left)).astype(np.int32)
    own = np.cumsum(rivals + 1) - 1
    right[own] = np.arange(rows)
    weight = random.normal(-2, 4, len(left))
    weight[own] = random.normal(9, 5, rows)
    weight = np.round(weight) if ties else weight
    _, first = np.unique(left.astype(np.int64) << 32 | right, return_index=True)
    probability = 1 / (1 + np.exp2(-weight[first]))
    return ScoredPairs(left[first], right[first], weight[first].astype(np.float32), probability)


def by_anonlink(cases: list[ScoredPairs]) -> list[list[tuple[int, int]]]:
    asked = []
    for pairs in cases:
        # anonlink takes pairs as they come: ties in the order that we say ties have.
        order = np.lexsort((pairs.right, pairs.left, -pairs.weight))
        columns = (pairs.weight[order], pairs.left[order], pairs.right[order])
        asked.append(list(zip(*(column.tolist() for column in columns), strict=True)))
    command = [PEER, HERE / "anonlink_peer.py"]
    done = subprocess.run(
        command, input=json.dumps(asked), check=True, capture_output=True, text=True
    )
    return [[(a, b) for a, b in found] for found in json.loads(done.stdout)]


def ours(pairs: ScoredPairs) -> list[tuple[int, int]]:
    chosen = assign(pairs, unique_left=True, unique_right=True, smallest=0)
    return sorted(zip(pairs.left[chosen].tolist(), pairs.right[chosen].tolist(), strict=True))


def test_the_same_links_as_anonlinks_greedy_solver() -> None:
    random = np.random.default_rng(11)
    cases = [made_up(random, rows, ties=ties) for rows in (1, 9, 3000) for ties in (False, True)]
    assert [ours(case) for case in cases] == by_anonlink(cases)
