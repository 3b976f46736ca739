"""A file is encoded through spill files, and gone on from wherever a process was killed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkage.agent import matrixfile, source
from linkage.agent.records import (
    Records,
    can_resume,
    checked_before,
    forget_work,
    read_row_map,
)
from linkage.agent.source import SourceFile
from linkage.agreement import Manifest
from linkage.encoding import Encoder
from linkage.encodings import EncodingMatrix
from linkage.errors import LimitError
from tests.unit.agent.conftest import MakeManifest
from tests.unit.agent.test_records import directly, people, silent, write

SECRET = bytes(range(32))
ROWS = 900
MADE_FROM = {"key_check": "one"}


class KilledError(Exception):
    pass


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BATCH_ROWS", 100)
    monkeypatch.setattr(matrixfile, "BUCKET_BYTES", 50_000)
    monkeypatch.setattr(matrixfile, "CHECKPOINT_ROWS", 200)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "jail.csv", people(ROWS))


def encode(
    manifest: Manifest, path: Path, out: Path, kill: tuple[str, int] = ("", 0), **made_from: Any
) -> tuple[EncodingMatrix, list[int]]:
    """Encode, or die at the nth call of a step; returns the encodings' progress too."""
    out.mkdir(exist_ok=True)
    records = Records(manifest, manifest.partners[0], SourceFile(path))
    asked = MADE_FROM | made_from
    checked = checked_before(out, asked) or records.check(silent)
    seen: dict[str, list[int]] = {}

    def progress(step: str, done: int, total: int) -> None:
        assert 0 < done <= total
        seen.setdefault(step, []).append(done)
        if (step, len(seen[step])) == kill:
            raise KilledError

    with Encoder(manifest, SECRET, epoch=0) as encoder:
        made = records.encode(
            checked, encoder, out / "payload", threads=1, progress=progress, made_from=asked
        )
    data = np.fromfile(made.path, np.uint8)
    assert made.digest == hashlib.sha256(data.tobytes()).hexdigest()
    matrix = EncodingMatrix.from_buffer(data, made.layout)
    matrix.validate()
    return matrix, seen.get("encode", [])


def require_right(manifest: Manifest, matrix: EncodingMatrix, out: Path) -> None:
    sent = read_row_map(out)
    place = {handle.tobytes(): row for row, handle in enumerate(matrix.handles)}
    order = [place[handle.tobytes()] for handle in sent.handles]
    expected = directly(manifest, people(ROWS))
    assert np.array_equal(matrix.words[:, order], expected.words)
    assert np.array_equal(matrix.presence[:, order], expected.presence)


def kills() -> Iterator[tuple[str, int]]:
    yield from (("encode", n) for n in (1, 2, 3, 5, 9))
    yield from (("arrange", n) for n in (1, 2, 4))
    yield ("hash", 1)


@pytest.mark.parametrize("kill", list(kills()))
def test_a_killed_encoding_goes_on(
    make_manifest: MakeManifest, path: Path, tmp_path: Path, kill: tuple[str, int]
) -> None:
    manifest, out = make_manifest(), tmp_path / "out"
    with pytest.raises(KilledError):
        encode(manifest, path, out, kill)
    assert can_resume(out, MADE_FROM)
    header = (out / "payload").read_bytes()[:ROWS]
    matrix, encoded = encode(manifest, path, out)
    # Of the batches of 100 rows, those before the last checkpoint are not encoded again.
    step, count = kill
    kept = count // 2 * 2 * 100 if step == "encode" else ROWS
    assert encoded == list(range(kept + 100, ROWS + 1, 100))
    assert (out / "payload").read_bytes()[:ROWS] == header, "the handles were drawn anew"
    require_right(manifest, matrix, out)


def test_killed_again_and_again(make_manifest: MakeManifest, path: Path, tmp_path: Path) -> None:
    manifest, out = make_manifest(), tmp_path / "out"
    for kill in [("encode", 3), ("encode", 1), ("encode", 4), ("arrange", 2), ("arrange", 1)]:
        with pytest.raises(KilledError):
            encode(manifest, path, out, kill)
    matrix, encoded = encode(manifest, path, out)
    assert encoded == []
    require_right(manifest, matrix, out)


def test_half_a_record_in_a_spill_file_is_cut_off(
    make_manifest: MakeManifest, path: Path, tmp_path: Path
) -> None:
    manifest, out = make_manifest(), tmp_path / "out"
    with pytest.raises(KilledError):
        encode(manifest, path, out, ("encode", 5))
    for spill in (out / "work").glob("bucket-*"):
        with spill.open("ab") as file:
            file.write(b"torn")
    matrix, _ = encode(manifest, path, out)
    require_right(manifest, matrix, out)


@pytest.mark.parametrize("damage", ["bucket", "state", "plan", "payload"])
def test_what_is_damaged_is_made_anew(
    make_manifest: MakeManifest, path: Path, tmp_path: Path, damage: str
) -> None:
    manifest, out = make_manifest(), tmp_path / "out"
    with pytest.raises(KilledError):
        encode(manifest, path, out, ("encode", 5))
    if damage == "bucket":
        next((out / "work").glob("bucket-*")).unlink()
    elif damage == "payload":
        (out / "payload").write_bytes(b"")
    else:
        (out / "work" / f"{damage}.json").write_bytes(b"{")
    matrix, encoded = encode(manifest, path, out)
    assert len(encoded) == ROWS / 100
    require_right(manifest, matrix, out)


def test_other_work_is_not_gone_on_with(
    make_manifest: MakeManifest, path: Path, tmp_path: Path
) -> None:
    manifest, out = make_manifest(), tmp_path / "out"
    with pytest.raises(KilledError):
        encode(manifest, path, out, ("encode", 5))
    assert not can_resume(out, {"key_check": "two"})
    matrix, encoded = encode(manifest, path, out, key_check="two")
    assert len(encoded) == ROWS / 100
    require_right(manifest, matrix, out)


def test_a_file_corrected_after_a_kill_is_encoded_from_its_start(
    make_manifest: MakeManifest, path: Path, tmp_path: Path
) -> None:
    manifest, out = make_manifest(), tmp_path / "out"
    with pytest.raises(KilledError):
        encode(manifest, path, out, ("encode", 5))
    write(path, ["R0,Zoe,Marsh,1980-01-31", *people(ROWS)[1:]])
    assert not can_resume(out, {"source": SourceFile(path).digest()})
    matrix, encoded = encode(manifest, path, out)
    assert len(encoded) == ROWS / 100
    assert matrix.layout.rows == ROWS


def test_what_a_killed_process_left_can_be_forgotten(
    make_manifest: MakeManifest, path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    encode(make_manifest(), path, out)
    assert not list((out / "work").glob("bucket-*"))
    forget_work(out)
    assert not can_resume(out, MADE_FROM)
    assert {p.name for p in out.iterdir()} == {"payload", "rows.parquet", "skipped.parquet"}


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    make_manifest: MakeManifest, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(LimitError, match="GB are free") as caught:
        encode(make_manifest(), path, tmp_path / "out")
    assert caught.value.remedy
    assert not (tmp_path / "out" / "payload").exists()


def test_a_disk_that_fills_up_on_the_way_costs_nothing_done(
    make_manifest: MakeManifest, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, out = make_manifest(), tmp_path / "out"

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(matrixfile.MatrixFile, "_place", full)
        with pytest.raises(LimitError, match="disk is full"):
            encode(manifest, path, out)
    matrix, encoded = encode(manifest, path, out)
    assert encoded == []
    require_right(manifest, matrix, out)
