from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkage.agreement import Manifest
from linkage.errors import (
    AlreadyExistsError,
    DigestMismatchError,
    InvalidRequestError,
    NotFoundError,
)
from linkage.evaluator.extract import verify_extract, write_extract
from linkage.release.assemble import Assembled

MANIFEST = Manifest.model_validate(
    {
        "linkage": "manifest/1",
        "project": "county",
        "title": "A county <b>study</b>",
        "purpose": "See how services follow events",
        "legal_basis": "Section 1",
        "expires": "2030-01-01",
        "partners": [
            {
                "name": "hospital",
                "content": [
                    {
                        "name": "visits",
                        "kind": "event",
                        "fields": [
                            {"name": "code", "values": ["a", "=1+1", "-x"]},
                            {"name": "year", "transform": "year"},
                        ],
                    }
                ],
            },
            {"name": "shelter"},
        ],
        "recipients": [{"name": "bureau", "role": "assembler"}],
        "fields": [{"name": "given", "type": "given_name"}],
        "match_keys": [{"name": "k", "fields": ["given"]}],
        "scheme": {"name": "saul-v1"},
    }
)
A, B = "a" * 32, "b" * 32
QUALITY: dict[str, Any] = {"precision": 0.99, "recall": 0.95, "note": "é"}


def assembled() -> Assembled:
    return Assembled(
        people=pa.table(
            {
                "study_id": [A, B],
                "in_hospital": [True, True],
                "in_shelter": [False, True],
                "n_partners": pa.array([1, 2], pa.int16()),
            }
        ),
        tables={
            "hospital_visits": pa.table(
                {
                    "study_id": [A, A, B, B, B],
                    "code": ["=1+1", "-x", "-1.5", None, 'q"é'],
                    "year": pa.array([2020, None, 2021, 2022, 2023], pa.int16()),
                }
            )
        },
    )


def write(directory: Path, **more: Any) -> list[Path]:
    return write_extract(directory, assembled(), manifest=MANIFEST, quality=QUALITY, **more)


def test_the_files_and_what_they_say(tmp_path: Path) -> None:
    root = tmp_path / "new" / "extract"
    files = [path.relative_to(root).as_posix() for path in write(root)]
    assert files == [
        "README.txt",
        "SHA256SUMS",
        "data_dictionary.html",
        "data_dictionary.json",
        "datapackage.json",
        "manifest.json",
        "quality_report.json",
        "tables/hospital_visits.csv",
        "tables/hospital_visits.parquet",
        "tables/people.csv",
        "tables/people.parquet",
        "twin/hospital_visits.csv",
        "twin/hospital_visits.parquet",
        "twin/people.csv",
        "twin/people.parquet",
    ]
    assert [p.name for p in root.parent.iterdir()] == ["extract"]
    assert json.loads((root / "quality_report.json").read_bytes()) == QUALITY
    raw = (root / "manifest.json").read_bytes()
    assert hashlib.sha256(raw).hexdigest() == MANIFEST.fingerprint
    table = pq.read_table(root / "tables" / "hospital_visits.parquet")
    assert table.equals(assembled().tables["hospital_visits"])
    assert "hospital_visits" in (root / "README.txt").read_text()
    html = (root / "data_dictionary.html").read_text()
    assert "A county &lt;b&gt;study&lt;/b&gt;" in html
    assert "<b>" not in html
    assert verify_extract(root) == sorted(p for p in root.rglob("*") if p.is_file())


def test_csv_is_utf8_and_holds_no_formula(tmp_path: Path) -> None:
    write(tmp_path / "x")
    raw = (tmp_path / "x" / "tables" / "hospital_visits.csv").read_bytes()
    assert b"\r" not in raw
    assert raw.decode("utf-8").splitlines() == [
        '"study_id","code","year"',
        f'"{A}","\'=1+1",2020',
        f'"{A}","\'-x",',
        f'"{B}","-1.5",2021',
        f'"{B}",,2022',
        f'"{B}","q""é",2023',
    ]


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_sha256sum_agrees(tmp_path: Path) -> None:
    write(tmp_path / "x")
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],  # noqa: S607
        cwd=tmp_path / "x", capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["tables/people.parquet", "README.txt", "manifest.json"])
def test_a_flipped_bit_is_seen(tmp_path: Path, name: str) -> None:
    write(tmp_path / "x")
    path = tmp_path / "x" / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DigestMismatchError, match=f"{name} is not what was written"):
        verify_extract(tmp_path / "x")


def test_missing_and_foreign_files_are_all_named(tmp_path: Path) -> None:
    root = tmp_path / "x"
    write(root)
    (root / "README.txt").unlink()
    (root / "notes.txt").write_text("hello")
    (root / "manifest.json").rename(tmp_path / "m")
    (root / "manifest.json").symlink_to(tmp_path / "m")
    with pytest.raises(DigestMismatchError) as caught:
        verify_extract(root)
    for text in ("README.txt is missing", "notes.txt does not belong", "manifest.json is not"):
        assert text in str(caught.value)
    (root / "SHA256SUMS").write_text("nonsense\n")
    with pytest.raises(DigestMismatchError, match="not a checksum"):
        verify_extract(root)
    with pytest.raises(NotFoundError):
        verify_extract(tmp_path / "nowhere")


def test_what_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    root = tmp_path / "x"
    root.mkdir()
    write(root)  # an empty directory is as good as none
    (root / "README.txt").write_text("changed")
    with pytest.raises(AlreadyExistsError):
        write(root)
    assert (root / "README.txt").read_text() == "changed"
    write(root, overwrite=True)
    verify_extract(root)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_overwrite_replaces_only_an_extract(tmp_path: Path) -> None:
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    with pytest.raises(AlreadyExistsError):
        write(precious, overwrite=True)
    assert (precious / "thesis.txt").exists()


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    other = Assembled(assembled().people, {})
    with pytest.raises(InvalidRequestError, match="not the ones this manifest describes"):
        write_extract(tmp_path / "x", other, manifest=MANIFEST, quality={})
    with pytest.raises(ValueError, match="JSON"):
        write_extract(
            tmp_path / "x", assembled(), manifest=MANIFEST, quality={"precision": float("nan")}
        )
    assert list(tmp_path.iterdir()) == []
