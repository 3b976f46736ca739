from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from linkage.agent.profile import FileFigures, Profiler
from linkage.agreement import IdentifierField, MatchKey, Partner
from linkage.errors import InputError

FIELDS = [
    IdentifierField(name="given", type="given_name"),
    IdentifierField(name="surname", type="surname"),
    IdentifierField(name="dob", type="date_of_birth"),
    IdentifierField(name="city", type="city"),
    IdentifierField(name="postcode", type="postcode"),
]
KEYS = [MatchKey(name="name-dob", fields=("surname", "dob"))]


def columns(rows: int, seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    town = rng.integers(0, 40, rows)
    found = {
        "given": [f"given{n}" for n in rng.integers(0, 300, rows)],
        "surname": [f"surname{n}" for n in rng.integers(0, 500, rows)],
        "dob": [f"{1930 + n // 365}-01-{1 + n % 365:03}" for n in rng.integers(0, 25000, rows)],
        "city": [f"town{n}" for n in town],
        "postcode": [f"{60000 + n}" for n in town * 3 + rng.integers(0, 3, rows)],
    }
    made = {name: np.array(values, dtype=object) for name, values in found.items()}
    made["surname"][rng.random(rows) < 0.1] = None
    return made


def figures(*batches: dict[str, Any]) -> FileFigures:
    profiler = Profiler(FIELDS, KEYS)
    for batch in batches:
        profiler.add(batch)
    return profiler.result()


def slices(data: dict[str, Any], *cuts: int) -> list[dict[str, Any]]:
    edges = [0, *cuts, len(data["given"])]
    return [{name: values[a:b] for name, values in data.items()} for a, b in pairwise(edges)]


def test_figures_are_those_of_plain_counting_whatever_the_batches() -> None:
    data = columns(4000)
    found = figures(*slices(data, 1, 700, 3999))
    for field in found.fields:
        counts = Counter(value for value in data[field.field.name] if value is not None)
        rows = counts.total()
        assert field.missing == 4000 - rows
        assert (field.spread.rows, field.spread.distinct) == (rows, len(counts))
        assert field.spread.largest == max(counts.values())
        chance = sum((count / rows) ** 2 for count in counts.values())
        assert field.spread.bits == pytest.approx(-np.log2(chance))
        lengths = [len(value) for value in data[field.field.name] if value is not None]
        assert (field.lengths.shortest, field.lengths.longest) == (min(lengths), max(lengths))
        assert field.lengths.lower_quarter <= field.lengths.median <= field.lengths.upper_quarter
    pairs = Counter(
        pair for pair in zip(data["surname"], data["dob"], strict=True) if pair[0] is not None
    )
    key = found.keys["name-dob"]
    assert (key.rows, key.distinct, key.largest) == (
        pairs.total(),
        len(pairs),
        max(pairs.values()),
    )


def test_an_empty_column() -> None:
    data = columns(200)
    data["city"][:] = None
    field = figures(data).fields[3]
    assert (field.missing, field.spread.bits, field.spread.largest) == (200, 0.0, 0)
    assert field.suspects == ()


def test_placeholders_and_values_far_too_common_are_suspects() -> None:
    data = columns(5000)
    data["surname"][:40] = "unknown"
    data["given"][:7] = "xxx"
    data["dob"][:90] = "1990-01-01"
    data["dob"][90:95] = "1900-01-01"
    found = {field.field.name: field.suspects for field in figures(data).fields}
    assert [(s.count, s.why) for s in found["surname"]] == [(40, "reads like a placeholder")]
    assert [s.count for s in found["given"]] == [7]
    assert [s.count for s in found["dob"]] == [90, 5]
    assert "commoner" in found["dob"][0].why
    assert found["city"] == ()


def test_the_same_person_twice_is_counted() -> None:
    data = columns(3000)
    twice = {name: np.concatenate([values, values[100:125]]) for name, values in data.items()}
    extra = figures(twice).same_person - figures(data).same_person
    assert extra == sum(value is not None for value in data["surname"][100:125])


def test_dependence_is_found_between_city_and_postcode_alone() -> None:
    data = columns(5000)
    # Records of one person twice make no dependence.
    twice = {name: np.concatenate([values, values[:1500]]) for name, values in data.items()}
    for found in (figures(data), figures(twice)):
        assert list(found.dependent) == [("city", "postcode")]
        assert found.dependent["city", "postcode"] > 0.9


def test_what_is_shared_is_rounded_and_tells_no_small_count() -> None:
    data = columns(4321)
    data["given"][:10] = None
    data["city"][10:] = None
    data["postcode"][:123] = None
    told = figures(data).share(Partner(name="health"))
    assert told.rows == 4300
    by_name = {field.name: field for field in told.fields}
    assert by_name["given"].missing is None
    assert (by_name["city"].missing, by_name["city"].bits) == (1.0, 0.0)
    assert by_name["postcode"].missing == 0.03
    text = told.model_dump_json()
    assert not any(word in text for word in ("given1", "town", "surname1", "4321", "123"))
    for field in json.loads(text)["fields"]:
        assert field["bits"] == round(field["bits"], 1)


def test_a_small_file_is_not_profiled_for_others() -> None:
    with pytest.raises(InputError, match="fewer than 100"):
        figures(columns(99)).share(Partner(name="health"))


def test_no_value_is_kept_and_no_two_runs_hash_alike() -> None:
    values = np.array(["zqmarker"], dtype=object)
    one, two = Profiler(FIELDS), Profiler(FIELDS)
    assert one.hasher(values)[0] != two.hasher(values)[0]
    data = columns(200)
    data["surname"][:50] = "unknown"
    assert "unknown" not in repr(figures(data))
