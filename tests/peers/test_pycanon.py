"""Our k-anonymity, l-diversity and t-closeness are pycanon's.

pycanon runs in the peers' environment; without it (`make peers`) these tests are skipped.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from linkage.release.disclosure.rows import (
    MISSING,
    Group,
    k_anonymity,
    l_diversity,
    suppress_locally,
    t_closeness,
)

HERE = Path(__file__).parent
PEER = HERE.parents[1] / ".venv-peers/bin/python"

pytestmark = pytest.mark.skipif(not PEER.exists(), reason="pycanon is not there: run `make peers`")

QUASI = ["sex", "age", "town"]


def made_up(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    rows = int(random.integers(50, 400))
    return pd.DataFrame(
        {
            "sex": random.choice(["f", "m"], rows),
            "age": random.choice(["0-17", "18-64", "65+"], rows, p=[0.2, 0.6, 0.2]),
            "town": random.choice(["A", "B", "C"], rows, p=[0.6, 0.3, 0.1]),
            "ill": random.choice(["i", "j", "k", "l"], rows, p=[0.5, 0.3, 0.15, 0.05]),
        }
    )


def suppressed(frame: pd.DataFrame, k: int) -> pd.DataFrame:
    """What the gate leaves; what it takes away is a value of its own."""
    codes = np.column_stack([pd.factorize(frame[name])[0] + 1 for name in QUASI])
    group = Group("the table", np.arange(len(frame)), codes)
    hidden = suppress_locally(len(frame), [group], k=k)
    left = np.where(hidden, MISSING, codes)
    columns: dict[str, Any] = {name: left[:, at].astype(str) for at, name in enumerate(QUASI)}
    return pd.DataFrame({**columns, "ill": frame["ill"]})


def by_pycanon(frames: list[pd.DataFrame]) -> list[tuple[int, int, float]]:
    asked = [{"columns": f.to_dict("list"), "quasi": QUASI, "sensitive": "ill"} for f in frames]
    command = [PEER, HERE / "pycanon_peer.py"]
    done = subprocess.run(
        command, input=json.dumps(asked), check=True, capture_output=True, text=True
    )
    return [tuple(found) for found in json.loads(done.stdout)]


def test_the_same_k_l_and_t_as_pycanon() -> None:
    frames = [made_up(seed) for seed in range(12)]
    frames += [suppressed(frame, k) for frame, k in zip(frames, [2, 5, 11] * 4, strict=True)]
    theirs = by_pycanon(frames)
    for number, (frame, (k, l, t)) in enumerate(zip(frames, theirs, strict=True)):  # noqa: E741
        assert k_anonymity(frame, QUASI) == k
        assert l_diversity(frame, QUASI, "ill") == l
        assert t_closeness(frame, QUASI, "ill") == pytest.approx(t, abs=1e-9)
        if number >= 12:
            assert k >= [2, 5, 11][number % 3]
