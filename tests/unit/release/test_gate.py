from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from linkage.agreement import ContentTable, Manifest
from linkage.agreement.content_profiles import ContentProfile
from linkage.agreement.disclosure import Coarser
from linkage.errors import DisclosureError
from linkage.release.assemble import Assembled, assemble, dictionary
from linkage.release.deidentify import attach_index_ids
from linkage.release.disclosure import ProtectedTable
from linkage.release.forms import coarser_code, describe_forms, open_from
from linkage.release.gate import gate

PERSON = {
    "name": "person",
    "kind": "person",
    "fields": [
        {"name": "sex", "means": "sex", "values": ["f", "m"]},
        {"name": "race", "means": "race_ethnicity", "values": ["A", "B", "C"]},
        {"name": "tract", "means": "tract"},
        {"name": "illness", "recipients": ["bureau"]},
    ],
}
CALLS = {
    "name": "calls",
    "kind": "event",
    "record_id": "rid",
    "fields": [
        {"name": "town", "means": "municipality"},
        {"name": "kind", "values": ["x", "y"]},
    ],
}


def manifest(**disclosure: Any) -> Manifest:
    return Manifest.model_validate(
        {
            "linkage": "manifest/1",
            "project": "county",
            "title": "t",
            "purpose": "p",
            "legal_basis": "l",
            "expires": "2030-01-01",
            "partners": [
                {"name": "police", "unique": False, "record_id": "rid", "content": [PERSON, CALLS]},
                {"name": "clinic", "content": [PERSON]},
            ],
            "recipients": [
                {"name": "bureau", "role": "assembler"},
                {"name": "university", "role": "evaluator"},
            ],
            "fields": [{"name": "given", "type": "given_name"}],
            "match_keys": [{"name": "k", "fields": ["given"]}],
            "scheme": {"name": "saul-v1"},
            "disclosure": disclosure,
        }
    )


def ids(random: np.random.Generator, count: int) -> np.ndarray:
    return random.integers(0, 256, (count, 16), dtype=np.uint8)


def released(
    agreed: Manifest, *, people: int = 400, seed: int = 1, recipient: str | None = None
) -> Assembled:
    """Two person tables that agree on most people, and calls from towns large and small."""
    random = np.random.default_rng(seed)
    study = ids(random, people)
    true = {
        "sex": random.choice(["f", "m"], people),
        "race": random.choice(["A", "B", "C"], people, p=[0.7, 0.25, 0.05]),
        "tract": random.choice([f"T{n}" for n in range(8)], people),
    }
    tables, maps = {}, {}
    for name, share in (("police", 0.6), ("clinic", 0.5)):
        members = np.flatnonzero(random.random(people) < share)
        if name == "police":
            # Some have two records that do not tell the same.
            members = np.append(members, members[::9])
        index = ids(random, len(members))
        maps[name] = {bytes(index[n]): bytes(study[who]) for n, who in enumerate(members)}
        columns = {key: values[members].astype(object) for key, values in true.items()}
        wrong = random.random(len(members)) < 0.05
        columns["race"][wrong] = "B"
        columns["tract"][random.random(len(members)) < 0.05] = None
        columns["illness"] = random.choice(["i", "j"], len(members))
        table = pa.table({key: pa.array(list(v), pa.string()) for key, v in columns.items()})
        tables[name, "person"] = attach_index_ids(table, index)
        if name == "police":
            who = random.integers(0, len(members), 900)
            towns = random.choice(["big", "small"], len(members), p=[0.98, 0.02])[who]
            calls = pa.table({"town": towns, "kind": random.choice(["x", "y"], 900)})
            tables[name, "calls"] = attach_index_ids(calls, index[who])
    return assemble(agreed, tables, maps, recipient=recipient)


def smallest(frame: pd.DataFrame, columns: list[str]) -> int:
    """Persons of the smallest class, by another way than the gate's."""
    return int(frame.fillna("").groupby(columns)["study_id"].nunique().min())


QUASI = ["sex", "race", "tract"]


@pytest.mark.parametrize("k", [2, 5, 11])
def test_every_person_is_hidden_among_k_in_each_table_and_in_all_together(k: int) -> None:
    agreed = manifest(k=k)
    before = released(agreed)
    after = gate(agreed, before)
    tables = {name: t.to_pandas() for name, t in after.assembled.tables.items()}
    persons = [tables["police_person"], tables["clinic_person"]]
    assert all(smallest(frame, QUASI) >= k for frame in persons)
    # Whoever joins the tables learns no more than one of them tells.
    both = persons[0].merge(persons[1], on="study_id", how="outer", suffixes=("", "_2"))
    known = {
        name: pd.concat(
            [
                both[["study_id", name]],
                both[["study_id", f"{name}_2"]].set_axis(["study_id", name], axis=1),
            ]
        )
        .groupby("study_id")[name]
        .agg(lambda values: "|".join(sorted(set(values.dropna()))))
        for name in QUASI
    }
    joined = pd.DataFrame(known).reset_index()
    assert smallest(joined, QUASI) >= k
    assert smallest(tables["police_calls"].dropna(subset="town"), ["town"]) >= k
    # Nothing is changed but taken away, and what it cost is told.
    for one in after.log["rows"]:
        was, now = before.tables[one["table"]], after.assembled.tables[one["table"]]
        assert was.num_rows == now.num_rows
        for column, lost in one["suppressed"].items():
            gone = now[column].null_count - was[column].null_count
            assert gone == lost["suppressed"]
    assert after.assembled.tables["police_person"]["illness"].null_count == 0


def test_the_least_important_term_pays() -> None:
    agreed = manifest(k=11)
    log = gate(agreed, released(agreed)).log
    told = next(one for one in log["rows"] if one["table"] == "police_person")
    lost = told["suppressed"]
    assert lost["tract"]["suppressed"] > lost["race"]["suppressed"] >= 0
    assert told["smallest_class"] >= 11


def test_places_of_few_people_are_not_shown() -> None:
    agreed = manifest(k=11)
    calls = gate(agreed, released(agreed)).assembled.tables["police_calls"].to_pandas()
    assert set(calls["town"].dropna()) == {"big"}


def test_diversity_of_what_is_sensitive() -> None:
    agreed = manifest(k=5, l=2, sensitive=["police_person.illness"])
    after = gate(agreed, released(agreed))
    frame = after.assembled.tables["police_person"].to_pandas().fillna("")
    assert frame.groupby(QUASI)["illness"].nunique().min() >= 2
    told = next(o for o in after.log["rows"] if o["table"] == "police_person")["sensitive"]
    assert told["illness"]["l"] >= 2
    assert 0 <= told["illness"]["t"] <= 1


def test_rows_can_be_left_as_they_are() -> None:
    agreed = manifest(k=1)
    before = released(agreed)
    assert gate(agreed, before).assembled.tables == before.tables


def test_too_few_people_are_refused_with_a_reason() -> None:
    agreed = manifest(k=11)
    with pytest.raises(DisclosureError, match="holds fewer than 11 persons"):
        gate(agreed, released(agreed, people=12))


def test_too_much_loss_is_refused() -> None:
    agreed = manifest(k=11, most_suppressed=0.05)
    with pytest.raises(DisclosureError, match=r"would have to be suppressed") as caught:
        gate(agreed, released(agreed))
    assert "most_suppressed at" in str(caught.value.remedy)


COUNTS = [
    {"name": "by_town", "of": "police_calls", "by": ["town", "kind"]},
    {"name": "seen", "of": "people", "by": ["n_partners"], "count": "people"},
]


def test_tables_of_counts_are_protected_and_checked_against_earlier_ones() -> None:
    agreed = manifest(k=1, tables=COUNTS)
    first = gate(agreed, released(agreed))
    cells = first.counts["by_town"].cells
    assert cells["count"].isna().any(), "the small town is hidden"
    assert not ((cells["count"] > 0) & (cells["count"] < 11)).any()
    told = {k: v for one in first.counts.values() for k, v in one.published.items()}
    again = gate(agreed, released(agreed), published=told)
    assert again.counts["by_town"].cells.equals(cells)
    known = next(key for key in told if key[1] == (("kind", "x"),))
    with pytest.raises(DisclosureError, match="differ by fewer than 11 from what an earlier"):
        gate(agreed, released(agreed), published={**told, known: told[known] + 3})
    gate(agreed, released(agreed), published={**told, known: told[known] + 30})


def test_a_later_release_does_not_undo_what_an_earlier_one_hid() -> None:
    """The first hides a tiny town, and a small one with it; the second counts the small one under
    another name, and would give the tiny one away.
    """
    source = released(manifest(k=1))
    calls = source.tables["police_calls"].to_pandas().sample(frac=1, random_state=1)
    calls["town"] = ["tiny"] * 4 + ["small"] * 96 + ["big"] * (len(calls) - 100)
    calls["kind"] = ["s" if town == "small" else "r" for town in calls["town"]]
    source.tables["police_calls"] = pa.Table.from_pandas(calls, preserve_index=False)

    def counts(by: str, *earlier: ProtectedTable) -> ProtectedTable:
        agreed = manifest(k=1, tables=[{"name": "t", "of": "police_calls", "by": [by]}])
        told = {key: n for one in earlier for key, n in one.published.items()}
        hidden = [key for one in earlier for key in one.hidden]
        return gate(agreed, source, published=told, hidden=hidden).counts["t"]

    towns = counts("town")
    assert towns.cells.set_index("town")["count"][["tiny", "small"]].isna().all()
    assert counts("kind").log["suppressed"] == 0
    beside = counts("kind", towns).cells.set_index("kind")["count"]
    assert beside["total"] == len(calls)
    assert beside[["r", "s"]].isna().all()
    # Once the rows are others, so are the counts: nothing is known of the small town.
    more = pd.concat([calls, calls.iloc[100:140]])
    source.tables["police_calls"] = pa.Table.from_pandas(more, preserve_index=False)
    assert counts("kind", towns).log["suppressed"] == 0


def test_what_was_hidden_for_another_stays_hidden_when_the_rest_has_changed() -> None:
    """Of one release A + B is known; B of the next would tell A of both."""
    source = released(manifest(k=1))
    calls = source.tables["police_calls"].to_pandas()
    agreed = manifest(k=1, tables=[{"name": "t", "of": "police_calls", "by": ["town"]}])

    def counts(towns: dict[str, int], *earlier: ProtectedTable) -> ProtectedTable:
        rows = calls.iloc[: sum(towns.values())].assign(town=np.repeat([*towns], [*towns.values()]))
        source.tables["police_calls"] = pa.Table.from_pandas(rows, preserve_index=False)
        told = {key: n for one in earlier for key, n in one.published.items()}
        hidden = [key for one in earlier for key in one.hidden]
        return gate(agreed, source, published=told, hidden=hidden).counts["t"]

    first = counts({"A": 3, "B": 57, "C": 60})
    assert first.cells["count"].isna().tolist() == [True, True, False, False]
    later = {"A": 3, "B": 57, "C": 40}
    alone = counts(later).cells["count"].isna().tolist()
    assert alone == [True, False, True, False]
    beside = counts(later, first)
    assert beside.cells["count"].isna().tolist() == [True, True, False, False]
    # And the same again is the same.
    assert counts(later, first, beside).cells.equals(beside.cells)


def test_rows_and_people_of_one_table_are_one_cell() -> None:
    """The people of one race are those of a town that is hidden to protect another."""
    tables = [
        {"name": "towns", "of": "clinic_person", "by": ["tract"]},
        {"name": "races", "of": "clinic_person", "by": ["race"], "count": "people"},
        {"name": "seen", "of": "people", "by": ["n_partners"]},
    ]
    agreed = manifest(k=1, tables=tables)
    source = released(agreed)
    people = source.people["study_id"].slice(0, 100)
    source.tables["clinic_person"] = pa.table(
        {
            "study_id": people,
            "tract": ["A"] * 3 + ["B"] * 40 + ["C"] * 57,
            "race": ["C"] * 3 + ["B"] * 40 + ["C"] * 57,
        }
    )
    n_partners = [2] * 3 + [1] * 40 + [2] * 57
    source = replace(source, people=pa.table({"study_id": people, "n_partners": n_partners}))
    counts = {name: one.cells for name, one in gate(agreed, source).counts.items()}
    # The towns of which each cell is the sum, whichever table shows it.
    of = {"A": "A", "B": "B", "C": "C", "total": "ABC"}
    races, seen = {**of, "C": "AC"}, {"1": "B", "2": "AC", "total": "ABC"}
    told = [
        [town in sums[node] for town in "ABC"]
        for (name, sums) in (("towns", of), ("races", races), ("seen", seen))
        for node, count in counts[name].iloc[:, :2].itertuples(index=False)
        if count is not pd.NA
    ]
    assert told
    rank = np.linalg.matrix_rank
    assert rank(np.array([*told, [True, False, False]])) > rank(np.array(told)), "A is told"


def test_a_recipient_gets_its_own_fields_only() -> None:
    agreed = manifest(k=1, tables=COUNTS)
    mine = released(agreed, recipient="university")
    assert "illness" not in mine.tables["police_person"].column_names
    assert "illness" in released(agreed, recipient="bureau").tables["police_person"].column_names
    described = {(e["table"], e["column"]) for e in dictionary(agreed, "university")["columns"]}
    found = {(name, c) for name, table in mine.named.items() for c in table.column_names}
    assert described == found


def test_a_source_for_counts_alone_leaves_no_row() -> None:
    agreed = manifest(k=1, tables=COUNTS)
    police, clinic = agreed.partners
    person, calls = police.content
    only = [f.model_copy(update={"recipients": ()}) for f in calls.fields]
    withheld = calls.model_copy(
        update={"fields": tuple(only), "profile": ContentProfile.AGGREGATE_ONLY}
    )
    closed = agreed.model_copy(
        update={"partners": (police.model_copy(update={"content": (person, withheld)}), clinic)}
    )
    after = gate(closed, released(closed, recipient="university"))
    assert "police_calls" not in after.assembled.named
    assert not any(e["table"] == "police_calls" for e in dictionary(closed, "bureau")["columns"])
    open_one = gate(agreed, released(agreed, recipient="university"))
    assert after.counts["by_town"].cells.equals(open_one.counts["by_town"].cells)


HALVES = {f"T{n}": "west" if n < 4 else "east" for n in range(8)}
FORMS = [
    {"name": "halves", "means": "tract", "becomes": "municipality", "mapping": HALVES},
    {"name": "county", "means": "tract", "becomes": "county", "digits": 1},
]


def test_columns_take_the_form_that_loses_least() -> None:
    plain, agreed = manifest(k=11), manifest(k=11, coarser=FORMS)
    before = released(agreed)
    fine, after = gate(plain, before), gate(agreed, before)
    for name in ("police_person", "clinic_person"):
        table = after.assembled.tables[name].to_pandas()
        # As a whole: no tract stands beside a half.
        assert set(table["tract"].dropna()) <= {"west", "east"}
        assert smallest(table, QUASI) >= 11
        lost = [one.assembled.tables[name]["tract"].null_count for one in (fine, after)]
        assert lost[1] < lost[0] / 2
    assert {form.name for form in after.coarser.values()} == {"halves"}
    told = next(one for one in after.log["rows"] if one["table"] == "clinic_person")
    assert told["coarser"] == {"tract": "halves"}
    described = describe_forms(dictionary(agreed), after.coarser)
    [entry] = [
        e for e in described["columns"] if (e["table"], e["column"]) == ("clinic_person", "tract")
    ]
    assert (entry["coarser"], entry["means"]) == ("halves", "municipality")
    # Where nothing has to be taken away, nothing is made coarser.
    assert (
        gate(manifest(k=2, quasi_identifiers=["sex", "tract"], coarser=FORMS), before).coarser == {}
    )


def test_a_form_that_puts_all_together_is_no_better_than_none() -> None:
    only = [{"name": "county", "means": "tract", "digits": 1}]
    agreed = manifest(k=11, coarser=only)
    assert gate(agreed, released(agreed)).coarser == {}


def test_a_form_is_taken_in_which_no_column_loses_too_much() -> None:
    """As they are, columns lose least in all, but nine in ten tracts."""
    only = [{"name": "county", "means": "tract", "digits": 1}]
    agreed = manifest(k=11, coarser=only, most_suppressed=0.5)
    after = gate(agreed, released(agreed))
    assert {form.name for form in after.coarser.values()} == {"county"}
    # Where all lose too much, what would pass is said of the form that loses least.
    strict = manifest(k=11, coarser=FORMS, most_suppressed=0.01)
    with pytest.raises(DisclosureError) as caught:
        gate(strict, released(strict))
    assert "'race'" in caught.value.message


@pytest.mark.parametrize(
    ("value", "form", "coarser"),
    [
        ("30-39", {"means": "age_band", "years": 20}, "20-39"),
        ("20-29", {"means": "age_band", "years": 30}, "0-29"),
        ("90+", {"means": "age_band", "years": 20}, "90+"),
        # What is above is a band of its own.
        ("80-89", {"means": "age_band", "years": 20}, "80-89"),
        ("60-69", {"means": "age_band", "years": 50}, "50-89"),
        # A band that lies in no wider one would be said to be younger or narrower than it is.
        ("15-24", {"means": "age_band", "years": 20}, "15-24"),
        ("18-64", {"means": "age_band", "years": 20}, "18-64"),
        ("<18", {"means": "age_band", "years": 20}, "<18"),
        ("34", {"means": "age_band", "years": 20}, "20-39"),
        ("17031010202", {"means": "tract", "digits": 5}, "17031"),
        ("T1", {"means": "tract", "mapping": {"T1": "Elm"}}, "Elm"),
        ("T2", {"means": "tract", "mapping": {"T1": "Elm"}}, None),
    ],
)
def test_coarser_codes(value: str, form: dict[str, Any], coarser: str | None) -> None:
    assert coarser_code(value, Coarser.model_validate({"name": "x", **form}), 90) == coarser


@pytest.mark.parametrize(
    ("field", "wide"),
    [
        ({"transform": "age_band", "reference": "2024-01-01"}, "80-89"),
        ({"transform": "band", "edges": [0, 80, 85]}, "80-84"),
        ({"transform": "top_code", "top": 85}, "80-84"),
        ({"values": ["80-84", "85+"]}, "80-84"),
        ({"values": ["80-84", "85-89"]}, "80-99"),
    ],
)
def test_a_wider_band_ends_where_the_last_one_begins(field: dict[str, Any], wide: str) -> None:
    made = {"name": "person", "kind": "person", "fields": [{"name": "age", **field}]}
    top = open_from(ContentTable.model_validate(made), "age")
    form = Coarser.model_validate({"name": "x", "means": "age_band", "years": 20})
    assert coarser_code("80-84", form, top) == wide


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ({"coarser": [{"name": "x", "means": "tract"}]}, "exactly one of"),
        ({"coarser": [{"name": "x", "means": "sex", "digits": 1, "years": 20}]}, "exactly one of"),
        ({"coarser": [{"name": "x", "means": "tract", "years": 20}]}, "a multiple of ten, of age"),
        ({"coarser": [{"name": "x", "means": "age_band", "years": 25}]}, "a multiple of ten"),
        ({"coarser": [{"name": "x", "means": "race_ethnicity", "digits": 1}]}, "take no coarser"),
        ({"coarser": [{"name": "x", "means": "day", "digits": 1}]}, "is not a declared term"),
        ({"coarser": [{**FORMS[0], "becomes": "shoe"}]}, "is not a declared term"),
        ({"coarser": [{**FORMS[0], "name": f"x{n}"} for n in range(30)]}, "at most 10"),
        ({"quasi_identifiers": ["shoe_size"]}, "is not a declared term"),
        ({"sensitive": ["police_person.shoe"]}, "is not a declared column"),
        ({"tables": [{"name": "t", "of": "police_x", "by": ["a"]}]}, "table of the extract"),
        ({"tables": [{"name": "t", "of": "people", "by": ["a"]}]}, "is not a declared column"),
        ({"two_checkers": True}, "name at least two checkers"),
        ({"k": 0}, "greater than or equal to 1"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(rules: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        manifest(**rules)
