from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkage.agent.profile import Profiler
from linkage.agent.records import Checked, Records, read_row_map
from linkage.agent.source import BATCH_ROWS, SourceFile
from linkage.agreement import Manifest
from linkage.encoding import Encoder, normalise_column
from linkage.encodings import EncodingMatrix
from linkage.errors import InputError, SourceError
from tests.unit.agent.conftest import MakeManifest

MARKER = "Zqmarker17"
SECRET = bytes(range(32))


def silent(step: str, done: int, total: int) -> None:
    del step, done, total


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("id,given,LAST,dob\n" + "\n".join(rows) + "\n")
    return path


def check(manifest: Manifest, path: Path) -> Checked:
    return Records(manifest, manifest.partners[0], SourceFile(path)).check(silent)


def refused(manifest: Manifest, path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        check(manifest, path)
    assert path.name in str(caught.value)
    assert caught.value.remedy
    assert MARKER not in str(caught.value)
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jail.csv"


def test_what_a_good_file_has(make_manifest: MakeManifest, path: Path) -> None:
    rows = ["1,Ann,Lee,1980-01-31", "2,,Lee,1980-01-31", "3,Bo,,UNK"]
    found = check(make_manifest({"missing": ["unk"]}), write(path, rows))
    assert found.rows == 3
    assert found.missing == {"given": 1, "surname": 1, "dob": 1}
    assert found.covered == {"all": 1, "surname-dob": 2}


def test_every_unparseable_date_is_reported_at_once(
    make_manifest: MakeManifest, path: Path
) -> None:
    rows = [f"{n},Ann,{MARKER},1980-01-31" for n in range(1, 3000)]
    for row in (2, 900, 2500):
        rows[row - 1] = f"{row},Ann,{MARKER},31/{MARKER}"
    error = refused(make_manifest(), write(path, rows))
    assert [(p.row, p.field) for p in error.problems] == [(2, "dob"), (900, "dob"), (2500, "dob")]
    assert "%Y-%m-%d" in error.problems[0].message


def test_problems_beyond_the_first_thousand_are_counted(
    make_manifest: MakeManifest, path: Path
) -> None:
    error = refused(make_manifest(), write(path, [f"{n},A,B,{MARKER}" for n in range(1500)]))
    assert (len(error.problems), error.total) == (1000, 1500)
    assert "1490 more problems" in str(error)


def test_record_ids_repeated_and_empty(make_manifest: MakeManifest, path: Path) -> None:
    rows = [f"{n},Ann,Lee,1980-01-31" for n in range(1, BATCH_ROWS + 10)]
    rows[5] = ",Ann,Lee,1980-01-31"
    rows[BATCH_ROWS + 3] = "7" + rows[8][1:]
    error = refused(make_manifest(), write(path, rows))
    assert [(p.row, p.field) for p in error.problems] == [(6, "id"), (BATCH_ROWS + 4, "id")]
    assert "empty" in error.problems[0].message
    assert "that of row 7" in error.problems[1].message


def test_no_record_has_any_match_key(make_manifest: MakeManifest, path: Path) -> None:
    error = refused(make_manifest(), write(path, [f"1,{MARKER},,", f"2,,{MARKER},"]))
    assert "no record has all fields of any match key" in str(error)


def test_more_rows_than_were_agreed(make_manifest: MakeManifest, path: Path) -> None:
    rows = [f"{n},Ann,{MARKER},1980-01-31" for n in range(11)]
    error = refused(make_manifest(max_rows=10), write(path, rows))
    assert "more rows than the manifest's 10" in str(error)


def encode(
    manifest: Manifest, path: Path, directory: Path, **more: Any
) -> tuple[EncodingMatrix, np.ndarray[Any, np.dtype[np.uint8]], list[str | None]]:
    directory.mkdir()
    records = Records(manifest, manifest.partners[0], SourceFile(path))
    checked = records.check(silent)
    with Encoder(manifest, SECRET, epoch=0) as encoder:
        made = records.encode(
            checked, encoder, directory / "payload", threads=2, progress=silent, **more
        )
    data = np.fromfile(made.path, np.uint8)
    matrix = EncodingMatrix.from_buffer(data, made.layout)
    matrix.validate()
    sent = read_row_map(directory)
    return matrix, sent.handles, sent.record_ids


def people(count: int) -> list[str]:
    return [
        f"R{n},{'Ann' if n % 3 else ''},Lee{n % 97},{1930 + n % 80}-01-{1 + n % 28:02}"
        for n in range(count)
    ]


def directly(manifest: Manifest, rows: list[str]) -> Any:
    cells = [row.split(",") for row in rows]
    columns = {
        field.name: normalise_column(field, [row[place] for row in cells]).values
        for place, field in enumerate(manifest.fields, 1)
    }
    with Encoder(manifest, SECRET, epoch=0) as encoder:
        return encoder.encode(columns)


@pytest.mark.parametrize("count", [1, 700, BATCH_ROWS + 4000])
def test_encodings_are_those_of_the_encoder_whatever_the_batches(
    make_manifest: MakeManifest, path: Path, tmp_path: Path, count: int
) -> None:
    manifest, rows = make_manifest(), people(count)
    matrix, handles, ids = encode(manifest, write(path, rows), tmp_path / "out")
    assert ids == [row.partition(",")[0] for row in rows]
    place = {handle.tobytes(): row for row, handle in enumerate(matrix.handles)}
    order = [place[handle.tobytes()] for handle in handles]
    assert sorted(order) == list(range(count))
    expected = directly(manifest, rows)
    assert np.array_equal(matrix.words[:, order], expected.words)
    assert np.array_equal(matrix.presence[:, order], expected.presence)


def test_the_order_of_the_file_does_not_leave(
    make_manifest: MakeManifest, path: Path, tmp_path: Path
) -> None:
    manifest = make_manifest()
    matrix, handles, _ = encode(manifest, write(path, people(500)), tmp_path / "one")
    sent = [handle.tobytes() for handle in matrix.handles]
    assert sent == sorted(sent)
    assert sent != [handle.tobytes() for handle in handles]
    again, _, _ = encode(manifest, path, tmp_path / "two")
    assert not set(sent) & {handle.tobytes() for handle in again.handles}


def test_files_are_private_and_hold_no_identifier(
    make_manifest: MakeManifest, path: Path, tmp_path: Path
) -> None:
    encode(make_manifest(), write(path, [f"1,{MARKER},{MARKER},1980-01-31"]), tmp_path / "out")
    for file in (f for f in (tmp_path / "out").rglob("*") if f.is_file()):
        assert file.stat().st_mode & 0o077 == 0
        assert MARKER.encode() not in file.read_bytes()


@pytest.mark.parametrize("more", [1, 5000])
def test_a_file_that_grew_after_the_check_is_refused(
    make_manifest: MakeManifest, path: Path, tmp_path: Path, more: int
) -> None:
    manifest = make_manifest()
    records = Records(manifest, manifest.partners[0], SourceFile(write(path, people(100))))
    checked = records.check(silent)
    write(path, people(100 + more))
    with (
        Encoder(manifest, SECRET, epoch=0) as encoder,
        pytest.raises(SourceError, match="changed while it was read"),
    ):
        records.encode(checked, encoder, tmp_path / "payload", threads=1, progress=silent)


def test_handles_of_nothing_submitted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing was submitted"):
        read_row_map(tmp_path)


def test_fields_outside_every_match_key_are_read_only_to_compare_pairs(
    make_manifest: MakeManifest, path: Path
) -> None:
    fields = json.loads(make_manifest().canonical)["fields"] + [{"name": "sex", "type": "sex"}]
    alone = make_manifest(fields=fields, matching={"pair_keyed": False})
    assert check(alone, write(path, people(5))).rows == 5
    assert "'sex': the column is missing" in str(refused(make_manifest(fields=fields), path))


def broken(count: int) -> list[str]:
    """Records of which every seventh has no date, and the last two share a record id."""
    rows = people(count)
    for row in range(0, count - 2, 7):
        rows[row] = f"R{row},Ann,{MARKER},{MARKER}"
    rows[-1] = rows[-2]
    return rows


def test_a_dry_run_keeps_the_first_problems_and_counts_all(
    make_manifest: MakeManifest, path: Path
) -> None:
    manifest, count = make_manifest(), BATCH_ROWS + 5000
    records = Records(manifest, manifest.partners[0], SourceFile(write(path, broken(count))))
    bad = len(range(0, count - 2, 7))
    for most in (1, 20, count):
        found = records.examine(silent, max_problems=most)
        assert found.usable
        assert found.total == bad + 1
        assert [p.row for p in found.problems] == [*range(1, count - 1, 7), count][:most]
        assert {reason.field: reason.count for reason in found.checked.reasons} == {
            "dob": bad,
            "id": 1,
        }
        # Both records of a shared id: content that joins by it could be either's.
        assert found.checked.skipped.tolist() == [*range(0, count - 2, 7), count - 2, count - 1]
        assert MARKER not in repr(found)


def test_a_file_without_any_good_record_is_not_usable(
    make_manifest: MakeManifest, path: Path
) -> None:
    manifest = make_manifest()
    rows = [f"{n},A,B,{MARKER}" for n in range(30)] + [f"{n},A,,1980-01-31" for n in range(30, 40)]
    records = Records(manifest, manifest.partners[0], SourceFile(write(path, rows)))
    assert not records.examine(silent).usable
    with pytest.raises(SourceError, match="date"):
        records.check(silent, skip_invalid=True)


def test_skipped_records_are_not_encoded_and_the_others_as_ever(
    make_manifest: MakeManifest, path: Path, tmp_path: Path
) -> None:
    manifest, count = make_manifest(), BATCH_ROWS + 1000
    rows = broken(count)
    records = Records(manifest, manifest.partners[0], SourceFile(write(path, rows)))
    checked = records.check(silent, skip_invalid=True)
    (tmp_path / "out").mkdir()
    with Encoder(manifest, SECRET, epoch=0) as encoder:
        made = records.encode(
            checked, encoder, tmp_path / "out" / "payload", threads=2, progress=silent
        )
    matrix = EncodingMatrix.from_buffer(np.fromfile(made.path, np.uint8), made.layout)
    matrix.validate()
    sent = read_row_map(tmp_path / "out")
    assert len(matrix.handles) == checked.sent == len(sent.rows)
    assert sorted([*sent.rows, *sent.skipped_rows]) == list(range(count))
    assert sent.record_ids == [f"R{row}" for row in sent.rows]
    assert f"R{count - 2}" in sent.skipped_ids
    assert not sent.skipped_ids & set(sent.record_ids)
    place = {handle.tobytes(): row for row, handle in enumerate(matrix.handles)}
    order = [place[handle.tobytes()] for handle in sent.handles]
    expected = directly(manifest, [rows[row] for row in sent.rows])
    assert np.array_equal(matrix.words[:, order], expected.words)
    for file in (f for f in (tmp_path / "out").rglob("*") if f.is_file()):
        assert MARKER.encode() not in file.read_bytes()


def test_suspects_are_named_only_by_reading_the_file_again(
    make_manifest: MakeManifest, path: Path
) -> None:
    rows = people(200) + [f"U{n},Ann,Unknown.,1980-01-31" for n in range(5)]
    manifest = make_manifest()
    records = Records(manifest, manifest.partners[0], SourceFile(write(path, rows)))
    profiler = Profiler(records.fields, manifest.match_keys)
    records.examine(silent, profiler=profiler)
    figures = profiler.result()
    assert "nknown" not in repr(figures)
    assert list(records.reveal(figures, profiler.hasher).values()) == ["Unknown."]


def test_what_was_sent_is_read_again_with_its_places(
    make_manifest: MakeManifest, path: Path, tmp_path: Path
) -> None:
    manifest, count = make_manifest(), BATCH_ROWS + 1000
    rows = broken(count)
    source = SourceFile(write(path, rows))
    records = Records(manifest, manifest.partners[0], source)
    checked = records.check(silent, skip_invalid=True)
    (tmp_path / "out").mkdir()
    with Encoder(manifest, SECRET, epoch=0) as encoder:
        made = records.encode(
            checked, encoder, tmp_path / "out" / "payload", threads=2, progress=silent
        )
        matrix = EncodingMatrix.from_buffer(np.fromfile(made.path, np.uint8), made.layout)
        again = Records(manifest, manifest.partners[0], SourceFile(path))
        seen = []
        for columns, places in again.sent(tmp_path / "out"):
            assert set(columns) == {"given", "surname", "dob"}
            assert np.array_equal(encoder.encode(columns).words, matrix.words[:, places])
            seen += places.tolist()
    assert sorted(seen) == list(range(checked.sent))


def test_another_file_is_not_taken_for_what_was_sent(
    make_manifest: MakeManifest, path: Path, tmp_path: Path
) -> None:
    manifest = make_manifest()
    encode(manifest, write(path, people(20)), tmp_path / "out")
    write(path, people(20)[::-1])
    again = Records(manifest, manifest.partners[0], SourceFile(path))
    with pytest.raises(SourceError, match="not the one that was submitted"):
        again.sent(tmp_path / "out")
