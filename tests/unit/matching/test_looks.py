"""First looks: their computed losses against other ways to compute them, and against trials."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from linkage.matching.looks import (
    LARGEST_LIMIT,
    Look,
    chance_dropped,
    chance_passed,
    choose_look,
    expected_loss,
)


@pytest.mark.parametrize(
    ("bits", "distance", "words", "limit"),
    [(512, 200, 3, 12), (512, 90, 6, 3), (1024, 430, 9, 44), (512, 3, 3, 0), (512, 0, 3, 0)],
)
def test_chances_are_counted(bits: int, distance: int, words: int, limit: int) -> None:
    """Against the number of ways to choose the bits that differ, in whole numbers."""
    look = Look(words, limit)
    ways = _ways(bits, distance, look.quintets)
    assert sum(ways) == math.comb(bits, distance)
    expected = sum(ways[limit + 1 :]) / math.comb(bits, distance)
    assert math.isclose(chance_dropped(bits, distance, look), expected, rel_tol=1e-8, abs_tol=1e-13)


def _ways(bits: int, distance: int, quintets: int) -> list[int]:
    """For each number of differing quintets, the choices of `distance` of `bits` bits."""
    few, many = [1, 5, 10], [0, 0, 0, 10, 5, 1]
    found = []
    for number in range(quintets + 1):
        poly = [math.comb(bits - 5 * quintets, k) for k in range(bits - 5 * quintets + 1)]
        for part in [many] * number + [few] * (quintets - number):
            out = [0] * min(len(poly) + len(part) - 1, distance + 1)
            for i, a in enumerate(poly):
                for k, b in enumerate(part):
                    if i + k < len(out):
                        out[i + k] += a * b
            poly = out
        chosen = poly[distance] if distance < len(poly) else 0
        found.append(math.comb(quintets, number) * chosen)
    return found


@pytest.mark.parametrize("look", [Look(15, 73), Look(3, 0), Look(24, 124)])
def test_unrelated_rows_pass_as_coins_fall(look: Look) -> None:
    assert math.isclose(chance_passed(look), binom.cdf(look.limit, look.quintets, 0.5))


def test_chance_dropped_is_what_happens() -> None:
    random = np.random.default_rng(5)
    look, distance, trials = Look(15, 73), 880, 10_000
    differ = random.permuted(np.tile(np.arange(2048) < distance, (trials, 1)), axis=1)
    quintets = differ[:, : look.bits].reshape(trials, look.quintets, 5).sum(axis=2) >= 3
    dropped = (quintets.sum(axis=1) > look.limit).mean()
    chance = chance_dropped(2048, distance, look)
    assert abs(dropped - chance) < 4 * math.sqrt(chance * (1 - chance) / trials)


@settings(deadline=None)
@given(
    st.sampled_from([1024, 2048, 4096]),
    st.floats(0.0, 7.0),
    st.sampled_from([0.001, 0.02, 0.15]),
    st.floats(0, 1),
)
def test_a_chosen_look_keeps_to_the_bound(bits: int, z: float, loss: float, share: float) -> None:
    distance = int(bits / 2 - z * math.sqrt(bits / 4))
    look = choose_look(bits, distance, loss=loss)
    if look is None:
        return
    assert look.words < bits // 64
    assert 0 <= look.limit <= LARGEST_LIMIT
    assert chance_dropped(bits, int(share * distance), look) <= loss * (1 + 1e-9)
    tighter = Look(look.words, look.limit - 1)
    assert look.limit == 0 or chance_dropped(bits, distance, tighter) > loss


def test_larger_files_get_shorter_looks() -> None:
    looks = [choose_look(2048, int(1024 - z * 22.6), loss=0.15) for z in (4, 5, 6, 7)]
    bits = [look.bits for look in looks if look]
    assert len(bits) == 4
    assert bits == sorted(bits, reverse=True)
    assert choose_look(2048, 1024, loss=0.01) is None
    assert choose_look(2048 + 64, 800, loss=0.15) is None


def test_expected_loss_counts_all_keys() -> None:
    look, cut = Look(15, 73), 887
    chance = chance_dropped(2048, 880, look)
    one = np.array([[880, -1, 1000]], np.int16)
    assert math.isclose(expected_loss(one, 2048, cut, look), chance, rel_tol=1e-9)
    two = np.array([[880, 880, -1]], np.int16)
    assert math.isclose(expected_loss(two, 2048, cut, look), chance**2, rel_tol=1e-9)
    both = np.concatenate([one, np.array([[0, 0, 0]], np.int16)])
    # The pair found stands for 1 / (1 - chance) such pairs, the other for itself.
    whole = 1 / (1 - chance)
    expected = (whole - 1) / (whole + 1)
    assert math.isclose(expected_loss(both, 2048, cut, look), expected, rel_tol=1e-9)
    assert expected_loss(both, 2048, cut, None) == 0
    assert expected_loss(both[:0], 2048, cut, look) == 0
