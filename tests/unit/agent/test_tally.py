"""How hashes repeat, as plain counting has it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from linkage.agent import tally as module
from linkage.agent.tally import Tally


def test_counting_in_parts_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_ENTRIES", 64)
    monkeypatch.setattr(module, "IN_MEMORY_BYTES", 256)
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 1 << 63, 300, dtype=np.uint64)[rng.integers(0, 300, 5000)]
    tally = Tally()
    for part in np.array_split(hashes, 7):
        tally.add(part)
    spread, top = tally.count(top=3)
    expected = Counter(hashes.tolist())
    assert (spread.rows, spread.distinct) == (5000, len(expected))
    assert [count for _, count in top] == [count for _, count in expected.most_common(3)]
    assert spread.pairs == sum(count * (count - 1) // 2 for count in expected.values())
