from __future__ import annotations

import dataclasses
import json
import secrets
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from linkage.agreement.canonical import canonical
from linkage.errors import DigestMismatchError, DisclosureError, LimitError, StateError
from linkage.evaluator import chain
from linkage.evaluator.entries import Entry
from linkage.evaluator.ledger import Ledger
from linkage.release.assemble import Assembled
from linkage.release.disclosure import ProtectedTable, protect_counts

CELLS = {("rows of calls", (("month", "2024-05"), ("town", "A"))): 40, ("rows of calls", ()): 90}
HIDDEN = (("rows of calls", (("month", "2024-05"), ("town", "B"))),)
ENTRY = Entry("r1", "bureau", "f" * 64, "e" * 64, 100, CELLS, HIDDEN)


def extract(people: int, *, changed: int = 0) -> Assembled:
    study = [f"{n:032x}" for n in range(people)]
    code = ["changed" if n < changed else f"code{n % 7}" for n in range(people)]
    return Assembled(pa.table({"study_id": study}), {"t": pa.table({"study_id": study, "c": code})})


def renamed(made: Assembled) -> Assembled:
    """The same persons under other ids, in another order."""
    ids = {one: f"{n:032x}" for n, one in enumerate(reversed(made.people["study_id"].to_pylist()))}
    tables = {}
    for name, table in made.named.items():
        column = pa.array([ids[one] for one in table["study_id"].to_pylist()])
        tables[name] = table.set_column(0, "study_id", column).take(
            list(reversed(range(table.num_rows)))
        )
    return Assembled(tables.pop("people"), tables)


def test_what_left_is_known_and_stands_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "county")
    persons = ledger.persons(extract(100))
    ledger.add(ENTRY, persons)
    ledger.add(ENTRY, persons)
    other = dataclasses.replace(ENTRY, release="r2", counts={("rows of calls", ()): 120})
    ledger.add(other, persons)
    again = Ledger(tmp_path, "county")
    assert again.entries() == [ENTRY, other]
    town, total = CELLS
    assert again.published() == {town: {40}, total: {90, 120}}
    assert again.published("r2", "bureau") == {town: {40}, total: {90}}
    assert (again.newest(), again.newest("r2", "bureau")) == (CELLS | other.counts, CELLS)
    assert again.hidden() == set(HIDDEN)
    assert Ledger(tmp_path, "another").entries() == []


def counted(calls: int) -> dict[str, ProtectedTable]:
    table = protect_counts(pd.DataFrame({"town": ["A", "B"], "count": [calls, 500]}), ["town"])
    return {"calls": table}


def test_counts_are_held_against_those_of_every_earlier_release(tmp_path: Path) -> None:
    for release, calls in (("r1", 100), ("r2", 150)):
        ledger, [made] = Ledger(tmp_path, "county"), counted(calls).values()
        ledger.require_counts_apart(release, "bureau", {"calls": made}, 11)
        entry = dataclasses.replace(ENTRY, release=release, counts=made.published)
        ledger.add(entry, np.zeros(0, np.uint64))
    ledger = Ledger(tmp_path, "county")
    for calls in (105, 145, 160):
        with pytest.raises(DisclosureError, match=r"2 cells, such as .+ differ by fewer than 11"):
            ledger.require_counts_apart("r3", "university", counted(calls), 11)
    for calls in (100, 111, 150, 161):
        ledger.require_counts_apart("r3", "university", counted(calls), 11)


def test_an_extract_made_again_is_as_it_was_or_refused(tmp_path: Path) -> None:
    made, ledger = counted(100), Ledger(tmp_path, "county")
    persons = ledger.persons(extract(100))
    ledger.require_as_before("r1", "bureau", persons, made)
    ledger.add(dataclasses.replace(ENTRY, counts=made["calls"].published, hidden=()), persons)
    # Later ones, and others, are held against it elsewhere.
    fewer = ledger.persons(extract(97))
    ledger.add(dataclasses.replace(ENTRY, release="r2"), fewer)
    again = Ledger(tmp_path, "county")
    again.require_as_before("r1", "bureau", again.persons(renamed(extract(100))), made)
    again.require_as_before("r3", "bureau", fewer, counted(5))
    again.require_as_before("r1", "university", fewer, counted(5))
    changed = again.persons(extract(100, changed=50))
    for those, counts in (
        (fewer, made),
        (changed, made),
        (persons, counted(150)),
        (persons, counted(5)),
        (persons, {}),
    ):
        with pytest.raises(DisclosureError, match="of release r1 for 'bureau' was made before"):
            again.require_as_before("r1", "bureau", those, counts)


def test_a_line_cut_short_by_a_crash_is_dropped(tmp_path: Path) -> None:
    ledger, none = Ledger(tmp_path, "county"), np.zeros(0, np.uint64)
    ledger.add(ENTRY, none)
    path = tmp_path / "ledger" / "county.jsonl"
    whole = path.read_bytes()
    second = dataclasses.replace(ENTRY, release="r2")
    for cut in (b'{"half', b"x" * 500):
        path.write_bytes(whole + cut)
        assert Ledger(tmp_path, "county").entries() == [ENTRY]
        Ledger(tmp_path, "county").add(second, none)
        assert Ledger(tmp_path, "county").entries() == [ENTRY, second]
        path.write_bytes(whole)


def test_a_changed_or_missing_line_is_seen(tmp_path: Path) -> None:
    ledger, none = Ledger(tmp_path, "county"), np.zeros(0, np.uint64)
    for release in ("r1", "r2", "r3"):
        ledger.add(dataclasses.replace(ENTRY, release=release), none)
    path = tmp_path / "ledger" / "county.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for wrong in (
        [lines[0].replace(b"90", b"91"), *lines[1:]],
        [lines[0], lines[2]],
        lines[1:],
        [lines[0], b"[]\n", lines[2]],
    ):
        path.write_bytes(b"".join(wrong))
        with pytest.raises(DigestMismatchError, match="of the ledger of project 'county'"):
            Ledger(tmp_path, "county").entries()


def one_line(path: Path, **changed: object) -> None:
    """Write the first line anew; None takes a setting away."""
    said = json.loads(path.read_bytes().splitlines()[0]) | changed
    path.write_bytes(canonical({k: v for k, v in said.items() if v is not None}) + b"\n")


@pytest.mark.parametrize(
    ("changed", "see"),
    [
        ({"hidden": None}, "hidden"),
        ({"counts": [["rows of calls", [], "90"]]}, "counts"),
        ({"counts": [["rows of calls", [["month"]], 90]]}, "counts"),
        ({"people": -1}, "people"),
        ({"persons": "../salt"}, "persons"),
        ({"recipient": "no such name"}, "recipient"),
        ({"kept": True}, "kept"),
    ],
)
def test_a_line_of_another_version_is_named(
    tmp_path: Path, changed: dict[str, object], see: str
) -> None:
    ledger = Ledger(tmp_path, "county")
    ledger.add(ENTRY, np.zeros(0, np.uint64))
    path = tmp_path / "ledger" / "county.jsonl"
    one_line(path, **changed)
    wrong = f"line 1 of the ledger of project 'county' is not such as .+: see '{see}'"
    with pytest.raises(DigestMismatchError, match=wrong) as caught:
        Ledger(tmp_path, "county")
    assert "another version" in str(caught.value.remedy)
    # Nor does one that was open write beside it.
    with pytest.raises(StateError):
        Ledger(tmp_path, "county").add(dataclasses.replace(ENTRY, release="r2"), np.zeros(0))


def test_lines_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, none = Ledger(tmp_path, "county"), np.zeros(0, np.uint64)
    ledger.add(ENTRY, none)
    path = tmp_path / "ledger" / "county.jsonl"
    written = path.read_bytes()
    monkeypatch.setattr(chain, "MAX_LINE", len(written) - 1)
    assert Ledger(tmp_path, "county").entries() == [ENTRY]
    with pytest.raises(LimitError, match="would have more than"):
        ledger.add(dataclasses.replace(ENTRY, release="r" * 60), none)
    assert path.read_bytes() == written
    for longer in (written[:-1] + b" \n", written + b"[" * len(written) * 2):
        path.write_bytes(longer)
        with pytest.raises(DigestMismatchError, match="has more than"):
            Ledger(tmp_path, "county")
    monkeypatch.undo()
    path.write_bytes(b"[" * 100_000 + b"\n")
    with pytest.raises(DigestMismatchError, match=r"line 1 .+ is not what was written"):
        Ledger(tmp_path, "county")


def test_extracts_that_few_persons_tell_apart_are_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "county")
    ledger.add(ENTRY, ledger.persons(extract(100)))

    def ask(made: Assembled, recipient: str = "bureau") -> None:
        ledger.require_apart("r2", recipient, ledger.persons(made), 11)

    ask(renamed(extract(100)))
    ask(extract(100, changed=11))
    ask(extract(111))
    for made in (extract(97), extract(110), renamed(extract(100, changed=4))):
        with pytest.raises(DisclosureError, match="fewer than 11 persons from that of release r1"):
            ask(made)
        ask(made, "university")


def test_of_two_extracts_made_at_once_the_second_is_made_again(tmp_path: Path) -> None:
    one, two = Ledger(tmp_path, "county"), Ledger(tmp_path, "county")
    fewer = two.persons(extract(97))
    two.require_apart("r2", "bureau", fewer, 11)
    one.add(ENTRY, one.persons(extract(100)))
    second = dataclasses.replace(ENTRY, release="r2")
    with pytest.raises(StateError, match="another extract of the project was made"):
        two.add(second, fewer)
    assert Ledger(tmp_path, "county").entries() == [ENTRY]
    with pytest.raises(DisclosureError, match="fewer than 11 persons"):
        Ledger(tmp_path, "county").require_apart("r2", "bureau", fewer, 11)
    # The same one, made twice at once, is no news to either.
    two.add(ENTRY, two.persons(extract(100)))
    one.add(second, one.persons(extract(100)))
    assert Ledger(tmp_path, "county").entries() == one.entries() == [ENTRY, second]


@pytest.mark.parametrize("named", ["salt", "*.npy"])
@pytest.mark.parametrize("how", ["missing", "not what was written"])
def test_a_ledger_without_its_salt_or_hashes_stops_the_assembler(
    tmp_path: Path, named: str, how: str
) -> None:
    ledger = Ledger(tmp_path, "county")
    ledger.add(ENTRY, ledger.persons(extract(100)))
    [path] = (tmp_path / "ledger").glob(named)
    data = path.read_bytes()
    path.unlink()
    if how != "missing":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for act in (
        lambda: ledger.require_apart("r2", "bureau", ledger.persons(extract(97)), 11),
        lambda: Ledger(tmp_path, "county"),
    ):
        with pytest.raises(DigestMismatchError, match=f"beside the release ledger, is {how}"):
            act()


def test_another_projects_lost_salt_is_not_drawn_anew(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "county")
    ledger.add(ENTRY, ledger.persons(extract(100)))
    (tmp_path / "ledger" / "salt").unlink()
    with pytest.raises(DigestMismatchError, match="salt, beside the release ledger, is missing"):
        Ledger(tmp_path, "state").persons(extract(100))


def test_of_two_first_assemblies_at_once_both_have_one_salt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Ledger(tmp_path, "county"), Ledger(tmp_path, "state")
    first, draw = [], secrets.token_hex

    def drawing(size: int) -> str:
        # While the other one draws.
        monkeypatch.setattr(secrets, "token_hex", draw)
        first.append(one.persons(extract(100)))
        return draw(size)

    monkeypatch.setattr(secrets, "token_hex", drawing)
    assert np.array_equal(two.persons(extract(100)), first[0])
    assert np.array_equal(one.persons(extract(100)), first[0])
    assert [path.name for path in (tmp_path / "ledger").iterdir()] == ["salt"]


def test_hashes_of_persons_differ_from_home_to_home(tmp_path: Path) -> None:
    one, two = (Ledger(tmp_path / name, "county").persons(extract(50)) for name in ("one", "two"))
    assert not np.intersect1d(one, two).size
