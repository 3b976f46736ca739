"""Aliases, groups and strata of a partner's file, from its columns to the matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkage.agent import aliases as alias_table
from linkage.agent import source
from linkage.agent.records import Examined, Records, read_row_map
from linkage.agent.rowmap import SentRows
from linkage.agent.source import SourceFile
from linkage.agreement import Manifest
from linkage.agreement.fields import MAX_VARIANTS
from linkage.encoding import Encoder
from linkage.encodings import EncodingMatrix
from linkage.errors import InputError, SourceError
from tests.unit.agent.conftest import MakeManifest

MARKER = "Zqmarker17"
SECRET = bytes(range(32))


def silent(step: str, done: int, total: int) -> None:
    del step, done, total


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BATCH_ROWS", 2)


def write(path: Path, *lines: str) -> SourceFile:
    path.write_text("\n".join(lines) + "\n")
    return SourceFile(path)


PEOPLE = (
    "id,given,LAST,dob,MAIDEN,NICK,person,race",
    "1,Ann,Lee,1980-01-31,May,,p1,W",
    "2,Bo,Ray,1981-02-28,,Bob,,b",
    "3,Cy,Fox,1982-03-31,FOX,,p1, B ",
    "4,Di,Hall,1983-04-30,,,unk,",
    "5,Ed,Poe,1984-05-31,,,unk,green",
)
SETTINGS: dict[str, Any] = {
    "aliases": {"surname": ["MAIDEN"], "given": ["NICK"]},
    "group": "person",
    "strata": {"race": "race"},
    "missing": ["UNK"],
}
STRATA = [{"name": "sex", "values": ["F", "M"]}, {"name": "race", "values": ["W", "B"]}]


@pytest.fixture
def manifest(make_manifest: MakeManifest) -> Manifest:
    return make_manifest(SETTINGS, strata=STRATA)


def examined(manifest: Manifest, people: SourceFile, aliases: SourceFile | None = None) -> Examined:
    found = Records(manifest, manifest.partners[0], people, aliases).examine(silent)
    assert MARKER not in repr(found)
    return found


def encode(
    manifest: Manifest, people: SourceFile, out: Path, aliases: SourceFile | None = None
) -> tuple[Records, EncodingMatrix]:
    out.mkdir()
    records = Records(manifest, manifest.partners[0], people, aliases)
    checked = records.check(silent, skip_invalid=True)
    with Encoder(manifest, SECRET, epoch=0) as encoder:
        made = records.encode(checked, encoder, out / "payload", threads=1, progress=silent)
    matrix = EncodingMatrix.from_buffer(np.fromfile(made.path, np.uint8), made.layout)
    matrix.validate()
    return records, matrix


def spellings(records: Records, out: Path) -> dict[int, tuple[str | None, ...]]:
    found = {}
    for columns, places in records.sent(out):
        for place, *values in zip(places.tolist(), *columns.values(), strict=True):
            found[place] = tuple(values)
    return found


def test_what_a_file_with_aliases_groups_and_strata_holds(
    manifest: Manifest, tmp_path: Path
) -> None:
    checked = examined(manifest, write(tmp_path / "jail.csv", *PEOPLE)).checked
    assert checked.variants.tolist() == [2, 2, 1, 1, 1]
    assert (checked.rows, checked.sent, checked.encodings, checked.aliases) == (5, 5, 7, 2)
    assert checked.groups is not None
    # A word that means "not known" makes nobody one person.
    assert checked.groups.tolist() == [0, 1, 0, 3, 4]
    assert checked.grouped == 1
    # Case counts, blanks around do not; the partner has no column for sex.
    assert checked.unlisted == {"race": 2}


def test_rows_of_the_matrix(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    records, matrix = encode(manifest, write(tmp_path / "jail.csv", *PEOPLE), out)
    assert matrix.layout.rows == 7
    said = spellings(records, out)
    sent = SentRows(out).before(99)
    assert sent.rows.tolist() == [0, 0, 1, 1, 2, 3, 4]
    assert sent.variants.tolist() == [0, 1, 0, 1, 0, 0, 0]
    names = [said[place][:2] for place in sent.places.tolist()]
    assert names[:4] == [("ann", "lee"), ("ann", "may"), ("bo", "ray"), ("bob", "ray")]
    handles, groups = matrix.handles[sent.places], matrix.groups[sent.places]
    assert len({handle.tobytes() for handle in handles}) == 5
    assert (handles[0] == handles[1]).all()
    assert (handles[2] == handles[3]).all()
    assert len({group.tobytes() for group in groups}) == 4
    assert (groups[0] == groups[4]).all()
    assert not {g.tobytes() for g in groups} & {h.tobytes() for h in handles}
    assert matrix.strata[sent.places].tolist() == [[0, c] for c in (1, 1, 0, 0, 2, 0, 0)]
    with Encoder(manifest, SECRET, epoch=0) as encoder:
        for columns, places in records.sent(out):
            assert np.array_equal(encoder.encode(columns).words, matrix.words[:, places])
    known = read_row_map(out)
    assert known.record_ids == ["1", "2", "3", "4", "5"]
    assert np.array_equal(known.handles, handles[[0, 2, 4, 5, 6]])


def test_a_partner_without_them_sends_none(make_manifest: MakeManifest, tmp_path: Path) -> None:
    manifest = make_manifest(strata=STRATA)
    _, matrix = encode(manifest, write(tmp_path / "jail.csv", *PEOPLE), tmp_path / "out")
    assert matrix.layout.strata == ("sex", "race")
    assert not matrix.strata.any()
    assert len({group.tobytes() for group in matrix.groups}) == matrix.layout.rows == 5


def test_an_alias_column_is_checked_as_the_field(
    make_manifest: MakeManifest, tmp_path: Path
) -> None:
    manifest = make_manifest({"aliases": {"dob": ["DOB2", "DOB3"]}})
    people = write(
        tmp_path / "jail.csv",
        "id,given,LAST,dob,DOB2,DOB3",
        f"1,Ann,Lee,1980-01-31,{MARKER},",
        "2,Bo,Ray,1981-02-28,,1981-02-27",
        f"3,Cy,Fox,{MARKER},{MARKER},{MARKER}",
    )
    found = examined(manifest, people)
    assert [(p.row, p.field) for p in found.problems] == [
        (1, "DOB2"),
        (3, "DOB2"),
        (3, "DOB3"),
        (3, "dob"),
    ]
    assert found.checked.variants.tolist() == [0, 2, 0]


def test_an_alias_table_adds_to_the_columns(manifest: Manifest, tmp_path: Path) -> None:
    people = write(tmp_path / "jail.csv", *PEOPLE)
    table = write(
        tmp_path / "aliases.csv",
        "dob,id,LAST,given",
        ",5,Pole,",
        "1979-01-31,1,Munro,Anna",
        ",5,Polk,Edward",
        ",1,may,",
        ",5,POLE,",
    )
    out = tmp_path / "out"
    records, matrix = encode(manifest, people, out, table)
    said = spellings(records, out)
    sent = SentRows(out).before(99)
    of = {
        (row, variant): said[place]
        for row, variant, place in zip(sent.rows, sent.variants, sent.places, strict=True)
    }
    assert [key for key in of if key[0] in (0, 4)] == [
        (0, 0),
        (0, 1),
        (0, 2),
        (4, 0),
        (4, 1),
        (4, 2),
    ]
    assert of[0, 2] == ("anna", "munro", "1979-01-31")
    assert of[4, 1] == ("ed", "pole", "1984-05-31")
    assert of[4, 2] == ("edward", "polk", "1984-05-31")
    assert matrix.layout.rows == 10
    with pytest.raises(SourceError, match="the alias table is not the one"):
        Records(manifest, manifest.partners[0], people).sent(out)
    other = write(tmp_path / "others.csv", "id,LAST", "5,Pole")
    with pytest.raises(SourceError, match=r"others\.csv: the alias table is not the one"):
        Records(manifest, manifest.partners[0], people, other).sent(out)


def test_every_error_of_an_alias_table_is_reported_beside_those_of_the_file(
    manifest: Manifest, tmp_path: Path
) -> None:
    people = write(tmp_path / "jail.csv", *PEOPLE, f"6,Fay,Orr,{MARKER},,,,")
    table = write(
        tmp_path / "aliases.csv",
        "id,LAST,dob",
        f"{MARKER},{MARKER},",
        "1,Moe,",
        "2,,",
        f"3,Foxe,{MARKER}",
        ",Nobody,",
        f"4,{'x' * 10_001},",
        *(f"5,Poe{n},1970-01-{n:02}" for n in range(1, MAX_VARIANTS + 1)),
        "2,unk,",
    )
    found = examined(manifest, people, table)
    assert [(p.file, p.row, p.field) for p in found.problems] == [
        ("", 6, "dob"),
        ("aliases.csv", 1, "id"),
        ("aliases.csv", 3, ""),
        ("aliases.csv", 4, "dob"),
        ("aliases.csv", 5, "id"),
        ("aliases.csv", 6, "LAST"),
        ("aliases.csv", 22, "id"),
        ("aliases.csv", 23, ""),
    ]
    assert found.total == 8
    messages = {r.message: r.count for r in found.checked.reasons if r.file == "aliases.csv"}
    assert messages[alias_table.UNKNOWN] == messages[alias_table.TOO_MANY] == 1
    assert messages[alias_table.NO_CELL] == 2
    # The records themselves are fit to be sent, with the aliases that are.
    assert found.checked.variants.tolist() == [3, 2, 1, 1, MAX_VARIANTS, 0]
    with pytest.raises(SourceError, match=r"aliases\.csv, row 1, field 'id'") as caught:
        Records(manifest, manifest.partners[0], people, table).check(silent)
    assert MARKER not in str(caught.value)
    out = tmp_path / "out"
    records, matrix = encode(manifest, people, out, table)
    assert matrix.layout.rows == len(spellings(records, out)) == found.checked.encodings


def test_an_alias_table_needs_the_right_columns(manifest: Manifest, tmp_path: Path) -> None:
    people = write(tmp_path / "jail.csv", *PEOPLE)
    for head, message in (
        ("LAST,given", "'id': the column is missing"),
        ("id,SURNAME", "'SURNAME': the column is not one of the identifiers"),
        ("id,id2", "no identifier beside the record id"),
    ):
        table = write(tmp_path / "aliases.csv", head, "1,2")
        with pytest.raises(SourceError, match=message):
            Records(manifest, manifest.partners[0], people, table)


def test_an_alias_table_needs_record_ids(make_manifest: MakeManifest, tmp_path: Path) -> None:
    people = write(tmp_path / "jail.csv", *PEOPLE)
    table = write(tmp_path / "aliases.csv", "id,LAST", "1,May")
    manifest = make_manifest({"record_id": None})
    with pytest.raises(InputError, match="no record_id"):
        Records(manifest, manifest.partners[0], people, table)


def test_an_alias_table_too_large_for_memory_is_refused(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alias_table, "MAX_BYTES", 1000)
    people = write(tmp_path / "jail.csv", *PEOPLE)
    table = write(tmp_path / "aliases.csv", "id,LAST", *(f"1,Name{n}" for n in range(200)))
    with pytest.raises(SourceError, match="MiB") as caught:
        examined(manifest, people, table)
    assert caught.value.remedy


def test_aliases_count_towards_the_most_rows(make_manifest: MakeManifest, tmp_path: Path) -> None:
    people = write(tmp_path / "jail.csv", *PEOPLE)
    examined(make_manifest(SETTINGS, strata=STRATA, min_rows=1, max_rows=7), people)
    with pytest.raises(SourceError, match="more rows than the manifest's 6"):
        examined(make_manifest(SETTINGS, strata=STRATA, min_rows=1, max_rows=6), people)


def test_a_group_of_which_a_record_is_left_out(manifest: Manifest, tmp_path: Path) -> None:
    people = write(
        tmp_path / "jail.csv",
        PEOPLE[0],
        "1,Ann,Lee,never,,,p1,W",
        "2,Anne,Lee,1980-01-31,,,p1,W",
        "3,Cy,Fox,1982-03-31,,,p2,W",
        "4,Anna,Lee,1980-01-31,,,p1,W",
    )
    out = tmp_path / "out"
    _, matrix = encode(manifest, people, out)
    sent = SentRows(out).before(99)
    groups = [group.tobytes() for group in matrix.groups[sent.places]]
    assert sent.rows.tolist() == [1, 2, 3]
    assert groups[0] == groups[2] != groups[1]
