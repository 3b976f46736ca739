import numpy as np
import pytest

from linkage.matching.comparison import MISSING_LEVEL
from linkage.matching.explain import REST, competition, explain, level_text

SUMMARY = {
    "level_weights": {
        "given": [-4.0, 1.0, 6.0],
        "surname": [-5.0, 2.0, 9.0],
        "city": [-1.0, 3.0],
        "postcode": [-2.0, 5.0],
    },
    "groups": [{"of": ["city", "postcode"], "cuts": [-1.5, 1.5, 4.5], "weights": [-2, -0.5, 2, 4]}],
}


def explained(*levels: int, weight: float = 1.5) -> dict[str, tuple[float, str]]:
    parts = explain(np.array(levels, np.uint8), SUMMARY, weight)
    assert sum(part.weight for part in parts) == pytest.approx(weight)
    return {part.name: (part.weight, part.text) for part in parts}


def test_pieces_add_up() -> None:
    found = explained(2, 1, 1, 0)
    assert found["given"] == (6.0, "exact")
    assert found["surname"] == (2.0, "alike, 1 of 2")
    assert found["city + postcode"] == (-0.5, "city exact, postcode unlike")
    assert found[REST][0] == pytest.approx(1.5 - 7.5)


def test_what_is_missing_weighs_nothing() -> None:
    found = explained(MISSING_LEVEL, 0, MISSING_LEVEL, MISSING_LEVEL)
    assert found["given"] == (0.0, "not known")
    assert found["surname"] == (-5.0, "unlike")
    assert found["city + postcode"][0] == 0.0


def test_a_model_without_groups() -> None:
    summary = {"level_weights": {"given": [-4.0, 6.0]}}
    parts = explain(np.array([1], np.uint8), summary, -3.0)
    assert [(part.name, part.weight) for part in parts] == [("given", 6.0), (REST, -9.0)]


def test_competition_is_the_way_from_weight_to_probability() -> None:
    assert competition(0.0, 0.5) == pytest.approx(0.0)
    assert competition(10.0, 0.5) == pytest.approx(-10.0)
    assert competition(40.0, 1.0) == pytest.approx(-0.14, abs=0.1)


def test_levels_in_words() -> None:
    assert [level_text(n, 5) for n in (0, 3, 5, MISSING_LEVEL)] == [
        "unlike",
        "alike, 3 of 5",
        "exact",
        "not known",
    ]
