"""The quality that the product promises, at the hub's own threshold and with nothing tuned.

Everything is real but the wire: profiles, drafted manifest, encoder, candidate search, request
lists, fresh pair ids, pair-keyed encodings, model, recommended threshold.
"""

from __future__ import annotations

import pytest

from tests.bench.files import febrl4, made
from tests.bench.linking import linked


def test_half_of_febrl_4() -> None:
    """The bar: F1 of 0.997 (Splink on plaintext 0.998 to 1, clkhash and anonlink 0.992)."""
    outcome = linked(febrl4("half"))
    assert outcome.at["f1"] >= 0.997
    assert outcome.candidate_recall >= 0.995
    assert abs(outcome.estimated["precision"] - outcome.at["precision"]) <= 0.02
    assert abs(outcome.estimated["recall"] - outcome.at["recall"]) <= 0.02


@pytest.mark.parametrize(
    ("name", "sizes", "least"),
    [
        ("sizes", {"both": 150, "left": 200, "right": 3000}, 0.93),
        ("everybody", {"both": 800, "left": 800, "right": 800}, 0.95),
    ],
)
def test_made_up_files(name: str, sizes: dict[str, int], least: float) -> None:
    """On average over four counties: with 150 matches one draw moves F1 by two points."""
    reached = [linked(made(name, seed=seed, **sizes), seed=seed).at["f1"] for seed in range(77, 81)]
    assert sum(reached) / len(reached) >= least


def test_nobody_in_common() -> None:
    """The steward is told so. On average: in one county of four, relatives pass for two matches."""
    found = [
        linked(made("nobody", seed=seed, both=0, left=800, right=800), seed=seed)
        for seed in range(77, 81)
    ]
    assert all(one.report["overall"]["overlap"] != "clear" for one in found)
    assert sum(one.at["links"] for one in found) / len(found) <= 1
