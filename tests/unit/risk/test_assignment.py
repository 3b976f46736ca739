"""Soft assignment: it finds who is who where too few pairs are right to begin with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import ortho_group

from linkage.risk import alignment, assignment, judge
from linkage.risk.alignment import Sides, align
from linkage.risk.assignment import SCHEDULES, assigned
from linkage.risk.mutual import match
from linkage.risk.view import Floats, Register, Rows, View
from tests.bench.attacked import together
from tests.bench.registers import Files
from tests.bench.settings import CLK

NONE: tuple[Rows, Rows] = (np.empty(0, np.int64), np.empty(0, np.int64))


def _sides(people: int, faint: float) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Points that differ by a rotation, and profiles of which little is right."""
    rng = np.random.default_rng(0)
    scale = np.linspace(2, 0.5, 24)
    points = rng.laplace(size=(people, 24)) * scale
    turned = points @ ortho_group.rvs(24, random_state=0)
    noise = [rng.standard_normal((people, 24)) * 0.3 for _ in range(2)]
    about = rng.standard_normal((people, 16))
    blurred = [about * faint + rng.standard_normal((people, 16)) for _ in range(2)]
    view, register = points + noise[0], turned + noise[1]
    return (
        (view.astype(np.float32), register.astype(np.float32)),
        (blurred[0].astype(np.float32), blurred[1].astype(np.float32)),
    )


def test_a_rotation_is_found_from_faint_profiles() -> None:
    sides, faint = _sides(800, 0.7)
    rng = np.random.default_rng(1)
    first = match(*faint, np.arange(800), rng)
    assert (first.nearest == first.rows).mean() < 0.06
    rows, people = assigned(sides, faint, rng, NONE, SCHEDULES[0])
    assert (rows == people).sum() > 700


def test_profiles_that_say_nothing_lead_nowhere() -> None:
    sides, nothing = _sides(800, 0.0)
    rows, people = assigned(sides, nothing, np.random.default_rng(1), NONE, SCHEDULES[0])
    assert (rows == people).sum() < 20


def test_known_pairs_are_enough_where_profiles_say_nothing() -> None:
    sides, nothing = _sides(800, 0.0)
    known = np.arange(0, 800, 16)
    rng = np.random.default_rng(1)
    rows, people = assigned(sides, nothing, rng, (known, known), SCHEDULES[0])
    assert len(np.unique(rows)) == len(rows)
    assert np.isin(known, rows).all()
    assert (rows == people).sum() > 700


def test_of_a_large_file_a_sample_of_rows_is_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "_CELLS", 800 * 300)
    sides, faint = _sides(800, 0.9)
    rows, people = assigned(sides, faint, np.random.default_rng(1), NONE, SCHEDULES[0])
    assert len(rows) <= 300
    assert (rows == people).mean() > 0.8


@pytest.mark.parametrize("sampled", ["MOST_ROWS", "_CELLS"])
def test_no_schedule_is_left_out_where_only_chance_pairs_rows(
    monkeypatch: pytest.MonkeyPatch, sampled: str
) -> None:
    # Nearly half of all people at random, and nearly all of a small sample's rows.
    monkeypatch.setattr(alignment, "MOST_ROWS", 250)
    monkeypatch.setattr(assignment, "_CELLS", 1 << 28 if sampled == "MOST_ROWS" else 600 * 200)
    words = np.random.default_rng(0).integers(0, 1 << 63, (3, 600, 8)).astype(np.uint64)
    tried = []

    def counted(*asked: Any) -> tuple[Rows, Rows]:
        tried.append(asked[-1])
        return assigned(*asked)

    monkeypatch.setattr(alignment, "assigned", counted)
    register = Register(words[1], words[2], sp.csr_matrix((600, 1)))
    rng = np.random.default_rng(1)
    align(Sides.of(View(words[0]), register, rng), rng)
    assert tried == list(SCHEDULES)


def test_filters_of_nine_fields_fall_with_nothing_known() -> None:
    # Of 2,000 people so few are each other's nearest by profile that rotations from there fail.
    files = Files(2_000, 1.0, 1)
    manifest = CLK.applied(files.drafted_by(CLK.drafted_for))
    trial = together(files, manifest, np.random.default_rng(1).bytes)
    rng = np.random.default_rng(1)
    sides = Sides.of(trial.view, trial.register, rng)
    first = match(*sides.profiles, np.arange(2_000), rng)
    assert (first.mutual & (first.nearest == trial.truth)).sum() < 40
    guess = align(sides, rng)
    assert judge("alignment", trial, guess).rate > 0.5
