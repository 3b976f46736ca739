"""Records encoded by a linkage schema, filters for anonlink's tools, and filters from clkhash."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkage.agent.clks import ClkFile, ImportedFilters, ImportedRecords, export
from linkage.agent.profile import Profiler
from linkage.agent.records import Records
from linkage.agent.source import SourceFile
from linkage.agreement import Manifest
from linkage.encoding import Encoder
from linkage.encoding.clk_compat import encode_clks
from linkage.encoding.clk_files import clks_from_binary, clks_from_json, clks_to_json
from linkage.encoding.clk_manifest import clk_secret
from linkage.encoding.pairwise import PairwiseEncoder
from linkage.encodings import EncodingMatrix
from linkage.errors import InputError, SourceError
from tests.clk_projects import SCHEMA, manifest_of

SECRET = bytes(range(32))
MARKER = "Zqmarker17"
ROWS = [
    ["1", "mary ann", "1976/07/04", "Ely"],
    ["2", "", "NA", ""],
    ["3", "o'brien", "NA", "St Paul"],
    ["4", "li wu", "2001/2/3", ""],
]
COLUMNS = {"name": "NAME freetext", "dob": "DOB YYYY/MM/DD"}


def silent(step: str, done: int, total: int) -> None:
    del step, done, total


def typed(**settings: Any) -> Manifest:
    """A manifest whose partners call columns as the schema does, with types for comparing pairs."""
    kinds = {"name": "full_name", "dob": "date_of_birth", "city": "city"}
    north = {"name": "north", "record_id": "INDEX", "columns": COLUMNS}
    settings = {
        "fields": [{"name": name, "type": kind} for name, kind in kinds.items()],
        "partners": [north | settings.pop("partner", {}), {"name": "south"}],
        **settings,
    }
    return manifest_of(**settings)


def write(path: Path, rows: list[list[str]]) -> SourceFile:
    header = ",".join(feature["identifier"] for feature in SCHEMA["features"])
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return SourceFile(path)


@pytest.fixture
def source(tmp_path: Path) -> SourceFile:
    return write(tmp_path / "people.csv", ROWS)


def filters_by_schema(manifest: Manifest) -> Any:
    assert manifest.linkage_schema is not None
    return encode_clks(manifest.linkage_schema, ROWS, bytes(clk_secret(manifest, SECRET, 1)))


def matrix_of(records: Records, encoder: Any, path: Path) -> tuple[EncodingMatrix, Any]:
    checked = records.check(silent)
    encoded = records.encode(checked, encoder, path, threads=1, progress=silent)
    data = np.fromfile(encoded.path, np.uint8)
    matrix = EncodingMatrix.from_buffer(data, encoded.layout)
    matrix.validate()
    return matrix, checked


def in_the_files_order(matrix: EncodingMatrix, records: Records, directory: Path) -> Any:
    places = np.concatenate([places for _, places in records.sent(directory)])
    return matrix.presence[0, places], matrix.words[0, places]


@pytest.mark.parametrize("pair_keyed", [True, False])
def test_a_file_is_encoded_as_the_schema_says(
    source: SourceFile, tmp_path: Path, pair_keyed: bool
) -> None:
    manifest = typed(matching={"pair_keyed": pair_keyed})
    records = Records(manifest, manifest.partners[0], source)
    with Encoder(manifest, SECRET, epoch=1) as encoder:
        matrix, checked = matrix_of(records, encoder, tmp_path / "payload")
    assert checked.missing == {"name": 1, "dob": 2, "city": 2}
    assert checked.sentinels["dob"] == 2
    assert checked.covered == {"clk": 3}
    presence, words = in_the_files_order(matrix, records, tmp_path)
    assert presence.tolist() == [True, False, True, True]
    assert (words == filters_by_schema(manifest)).all()


def test_pairs_are_compared_by_type_and_not_by_what_the_schema_reads(
    source: SourceFile, tmp_path: Path
) -> None:
    manifest = typed()
    records = Records(manifest, manifest.partners[0], source)
    with Encoder(manifest, SECRET, epoch=1) as encoder:
        matrix_of(records, encoder, tmp_path / "payload")
    ((columns, _),) = records.sent(tmp_path)
    assert columns["name"].tolist() == ["mary ann", None, "obrien", "li wu"]
    assert columns["dob"].tolist() == ["1976-07-04", None, None, "2001-02-03"]
    with PairwiseEncoder(manifest, SECRET, epoch=1) as pairwise:
        pairwise.prepare(columns)
        ids = np.arange(4 * 16, dtype=np.uint8).reshape(4, 16)
        answers = pairwise.encode(ids, np.arange(4), context="a run")
    assert answers.present.tolist() == [
        [True, True, True],
        [False, False, False],
        [True, False, True],
        [True, True, False],
    ]


def test_what_the_schema_refuses_is_reported_by_row_and_column(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        ["5", MARKER, "1976/02/30", "Ely"],
        ["6", "x" * 41, "NA", "Ely"],
        ["7", "ok", "na", "Ely"],
        ["8", "ok", "0999/01/01", "Ely"],
    ]
    source = write(tmp_path / "people.csv", rows)
    strict = typed(matching={"pair_keyed": False})
    with pytest.raises(SourceError) as caught:
        Records(strict, strict.partners[0], source).check(silent)
    found = {(p.row, p.field): p.message for p in caught.value.problems}
    assert list(found) == [
        (5, "DOB YYYY/MM/DD"),
        (5, "NAME freetext"),
        (6, "NAME freetext"),
        (7, "DOB YYYY/MM/DD"),
    ]
    assert "in lower case of 0 to 40 characters" in found[5, "NAME freetext"]
    assert "a date of the format %Y/%m/%d" in found[5, "DOB YYYY/MM/DD"]
    assert MARKER not in str(caught.value)
    # Where pairs are compared, a date must also make sense as a date of birth.
    both = typed()
    with pytest.raises(SourceError) as caught:
        Records(both, both.partners[0], source).check(silent)
    more = {(p.row, p.field) for p in caught.value.problems} - found.keys()
    assert more == {(8, "DOB YYYY/MM/DD")}
    checked = Records(strict, strict.partners[0], source).check(silent, skip_invalid=True)
    assert checked.skipped.tolist() == [4, 5, 6]


def test_a_profile_is_of_what_is_encoded(tmp_path: Path) -> None:
    rows = [[str(n), "unknown" if n % 2 else f"n{n}", "NA", "Ely"] for n in range(1, 41)]
    source = write(tmp_path / "people.csv", rows)
    manifest = typed()
    records = Records(manifest, manifest.partners[0], source)
    profiler = Profiler(records.fields, manifest.match_keys)
    found = records.examine(silent, profiler=profiler)
    assert found.total == 0
    figures = profiler.result()
    assert records.reveal(figures, profiler.hasher) != {}
    assert "unknown" in records.reveal(figures, profiler.hasher).values()


@pytest.mark.parametrize("form", ["json", "binary"])
def test_what_is_exported_is_what_clkhash_would_write(
    source: SourceFile, tmp_path: Path, form: Any
) -> None:
    manifest = typed()
    assert manifest.linkage_schema is not None
    out = tmp_path / "out"
    rows = export(manifest, manifest.partners[0], source, b"shared secret", out, form, silent)
    assert rows == 4
    assert out.stat().st_mode & 0o777 == 0o600
    expected = encode_clks(manifest.linkage_schema, ROWS, b"shared secret")
    data = out.read_bytes()
    if form == "json":
        assert data == clks_to_json(expected, 1024)
    read = (clks_from_json if form == "json" else clks_from_binary)(data, 1024)
    assert (read == expected).all()


def test_export_keeps_filters_that_say_nothing(tmp_path: Path) -> None:
    schema = copy.deepcopy(SCHEMA)
    schema["clkConfig"]["l"] = 64
    schema["features"][1]["hashing"]["strategy"] = {"bitsPerFeature": 2000}
    manifest = manifest_of(schema)
    path = tmp_path / "people.csv"
    path.write_text("id,f1,f2,f3\n1,mary,NA,\n2,,NA,\n")
    out = tmp_path / "out"
    export(manifest, manifest.partners[0], SourceFile(path), b"s", out, "binary", silent)
    assert out.read_bytes() == b"\xff" * 8 + bytes(8)
    clks = ClkFile.read(out, manifest, scratch=tmp_path)
    assert (clks.rows, clks.full, clks.empty) == (2, 1, 1)


def test_a_file_with_errors_is_not_exported(tmp_path: Path) -> None:
    source = write(tmp_path / "people.csv", [*ROWS, ["5", "UP", "NA", ""]])
    out = tmp_path / "out"
    manifest = typed()
    with pytest.raises(SourceError, match="row 5"):
        export(manifest, manifest.partners[0], source, b"s", out, "json", silent)
    assert not out.exists()
    assert list(tmp_path.glob(".out*")) == []


@pytest.mark.parametrize("form", ["json", "binary"])
def test_filters_that_clkhash_made_are_sent_as_they_are(
    source: SourceFile, tmp_path: Path, form: Any
) -> None:
    manifest = typed()
    clks = tmp_path / "clks"
    export(manifest, manifest.partners[0], source, b"theirs", clks, form, silent)
    # The rows' own file says only who they are.
    ids = tmp_path / "ids.csv"
    ids.write_text("INDEX\n1\n2\n3\n4\n")
    read = ClkFile.read(clks, manifest, scratch=tmp_path)
    records = ImportedRecords(manifest, manifest.partners[0], SourceFile(ids), read)
    assert records.digests()["clks"] == read.digest
    matrix, checked = matrix_of(records, ImportedFilters(manifest, read), tmp_path / "payload")
    assert checked.covered == {"clk": 3}
    assert sum(checked.missing.values()) == 1
    assert manifest.linkage_schema is not None
    expected = encode_clks(manifest.linkage_schema, ROWS, b"theirs")
    assert {row.tobytes() for row in matrix.words[0]} == {row.tobytes() for row in expected}
    assert matrix.presence.sum() == 3


def test_who_sent_filters_can_answer_from_the_same_file(source: SourceFile, tmp_path: Path) -> None:
    manifest = typed()
    clks = tmp_path / "clks"
    partner = manifest.partners[0]
    export(manifest, partner, source, b"theirs", clks, "json", silent)
    read = ClkFile.read(clks, manifest, scratch=tmp_path)
    imported = ImportedRecords(manifest, partner, source, read)
    matrix, _ = matrix_of(imported, ImportedFilters(manifest, read), tmp_path / "payload")
    records = Records(manifest, partner, source)
    ((columns, places),) = records.sent(tmp_path)
    assert columns["name"].tolist() == ["mary ann", None, "obrien", "li wu"]
    assert manifest.linkage_schema is not None
    expected = encode_clks(manifest.linkage_schema, ROWS, b"theirs")
    assert (matrix.words[0, places] == expected).all()


@pytest.mark.parametrize("rows", [3, 5, 200_000])
def test_as_many_filters_as_rows(tmp_path: Path, rows: int) -> None:
    manifest = typed()
    clks = tmp_path / "clks.bin"
    clks.write_bytes(b"\x01" * 128 * 4)
    ids = tmp_path / "ids.csv"
    ids.write_text("INDEX\n" + "\n".join(map(str, range(rows))) + "\n")
    read = ClkFile.read(clks, manifest, scratch=tmp_path)
    records = ImportedRecords(manifest, manifest.partners[0], SourceFile(ids), read)
    with pytest.raises(SourceError, match=rf"clks\.bin: 4 filters, where ids\.csv has {rows} rows"):
        records.check(silent)


def test_record_ids_are_checked_with_filters_too(tmp_path: Path) -> None:
    manifest = typed()
    clks = tmp_path / "clks.bin"
    clks.write_bytes(b"\x01" * 128 * 3)
    ids = tmp_path / "ids.csv"
    ids.write_text("INDEX\n1\n2\n1\n")
    read = ClkFile.read(clks, manifest, scratch=tmp_path)
    records = ImportedRecords(manifest, manifest.partners[0], SourceFile(ids), read)
    with pytest.raises(SourceError, match="the record id is that of row 1"):
        records.check(silent)
    assert records.check(silent, skip_invalid=True).skipped.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("data", "form", "said"),
    [
        (b"", None, "holds no filters"),
        (b'{"clks": []}', None, "holds no filters"),
        (bytes(127), None, "not a whole number of filters of 128 bytes each"),
        (bytes(64), "binary", "not a whole number of filters"),
        (b'{"clks": ["AAAA"]}', None, "filter 1 is 3 bytes long, not 128"),
        (b'{"clks": ["****"]}', None, "filter 1 is not base64 text"),
        (b'{"clknblocks": []}', None, "made without blocks"),
        (b'{"a": 1}' + bytes(120), "json", "the file is not"),
    ],
)
def test_files_that_hold_no_filters_of_this_length(
    tmp_path: Path, data: bytes, form: Any, said: str
) -> None:
    path = tmp_path / "clks"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        ClkFile.read(path, typed(), scratch=tmp_path, form=form)
    assert said in str(caught.value)
    assert str(caught.value).startswith("clks: ")
    assert [p.name for p in tmp_path.iterdir()] == ["clks"]


def test_the_format_is_told_by_how_a_file_begins(tmp_path: Path) -> None:
    path = tmp_path / "clks"
    path.write_bytes(b"{" + bytes(127))
    assert ClkFile.read(path, typed(), scratch=tmp_path).rows == 1
    one = base64.b64encode(b"\x01" * 128).decode()
    path.write_text("\n " + json.dumps({"clks": [one] * 9000}, indent=2))
    assert ClkFile.read(path, typed(), scratch=tmp_path).rows == 9000


def test_no_file_of_filters(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        ClkFile.read(tmp_path / "none", typed(), scratch=tmp_path)


def test_aliases_have_no_filters(source: SourceFile, tmp_path: Path) -> None:
    manifest = typed(partner={"aliases": {"name": ["AKA"]}})
    clks = tmp_path / "clks.bin"
    clks.write_bytes(b"\x01" * 128 * 4)
    read = ClkFile.read(clks, manifest, scratch=tmp_path)
    with pytest.raises(InputError, match="aliases"):
        ImportedRecords(manifest, manifest.partners[0], source, read)


def test_an_alias_has_a_filter_of_its_own(tmp_path: Path) -> None:
    manifest = typed(partner={"aliases": {"name": ["AKA"]}})
    path = tmp_path / "people.csv"
    path.write_text(
        "INDEX,NAME freetext,DOB YYYY/MM/DD,city,AKA\n1,mary,1976/07/04,Ely,molly\n2,jo,NA,,\n"
    )
    records = Records(manifest, manifest.partners[0], SourceFile(path))
    with Encoder(manifest, SECRET, epoch=1) as encoder:
        matrix, _ = matrix_of(records, encoder, tmp_path / "payload")
    _, words = in_the_files_order(matrix, records, tmp_path)
    rows = [["1", "mary", "1976/07/04", "Ely"], ["1", "molly", "1976/07/04", "Ely"]]
    assert manifest.linkage_schema is not None
    secret = bytes(clk_secret(manifest, SECRET, 1))
    expected = encode_clks(manifest.linkage_schema, [*rows, ["2", "jo", "NA", ""]], secret)
    assert (words == expected).all()
    assert len(matrix.first_rows()) == 2
