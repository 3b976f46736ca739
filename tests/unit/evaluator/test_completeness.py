from __future__ import annotations

import pandas as pd
import pytest

from linkage.evaluator import completeness as race
from linkage.evaluator.linkerror import LinkError, Range


def test_what_a_cell_says() -> None:
    said = {
        "WHITE": race.ONE,
        "HISP|WHITE": race.SEVERAL,
        "DECLINED": race.DECLINED,
        "REFUSED": race.DECLINED,
        "UNKNOWN": race.UNKNOWN,
        "": race.UNKNOWN,
        None: race.UNKNOWN,
        "W": race.ONE,
    }
    for cell, state in said.items():
        assert race.state(race.answer(cell)) == state, cell
    assert race.answer("HISP|WHITE", "1997").categories == {"HISP", "WHITE"}


def test_two_standards_are_compared_by_what_both_asked() -> None:
    old = pd.Series([race.answer("WHITE", "1997")] * 30, index=[str(n) for n in range(30)])
    new = pd.Series([race.answer("MENA")] * 30, index=old.index)
    found = race.disagreement(old, new)
    assert found is not None
    # The older standard counted it as White: nothing differs, and nothing is inferred.
    assert found.alike.tolist() == [race.SAME] * 30
    assert race.disagreement(old, new.rename(lambda n: f"x{n}")) is None


def test_wrong_links_are_taken_out_of_disagreement() -> None:
    names = [str(n) for n in range(2000)]
    truth = ["WHITE" if n % 2 else "BLACK" for n in range(2000)]
    # One link in ten leads to somebody else, who is of the other category half of the time.
    other = [truth[(n + 1) % 2000] if n % 20 == 0 else truth[n] for n in range(2000)]
    one, two = (pd.Series([race.answer(c) for c in cells], index=names) for cells in (truth, other))
    found = race.disagreement(one, two)
    assert found is not None
    seen = race.share_of(int((found.alike != race.SAME).sum()), len(found.alike))
    assert seen.value == pytest.approx(0.05)
    corrected = found.corrected(seen, LinkError.given(0.9, 0.9))
    assert corrected.value == pytest.approx(0.0, abs=0.002)


def test_differences_have_the_bounds_of_both() -> None:
    gap = race.difference(Range(0.5, 0.4, 0.6), Range(0.3, 0.25, 0.36))
    assert gap.value == pytest.approx(0.2)
    assert gap.low == pytest.approx(0.2 - (0.1**2 + 0.06**2) ** 0.5)
    assert gap.high == pytest.approx(0.2 + (0.1**2 + 0.05**2) ** 0.5)
