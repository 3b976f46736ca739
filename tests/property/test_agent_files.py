"""What is encoded of a record depends on it alone, however its file is laid out and read."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.agent import matrixfile, source
from linkage.agent.matrixfile import MatrixFile
from linkage.agent.records import Records
from linkage.agent.rowmap import SentRows
from linkage.agent.source import SourceFile
from linkage.agreement import Manifest, parse_manifest
from linkage.encoding import Encoded, Encoder
from linkage.encodings import EncodingLayout, EncodingMatrix

SECRET = bytes(range(32))
COLUMNS = ("id", "given", "surname", "dob", "maiden", "person", "race")

Person = tuple[str, ...]
Encodings = dict[tuple[str, int], tuple[bytes, bytes, bytes]]


def agreed() -> Manifest:
    document = {
        "linkage": "manifest/1",
        "project": "property",
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [
            {
                "name": "north",
                "record_id": "id",
                "aliases": {"surname": ["maiden"]},
                "group": "person",
                "strata": {"race": "race"},
            },
            {"name": "south"},
        ],
        "recipients": [{"name": "bureau", "role": "assembler"}],
        "fields": [
            {"name": "given", "type": "given_name"},
            {"name": "surname", "type": "surname"},
            {"name": "dob", "type": "date_of_birth"},
        ],
        "match_keys": [
            {"name": "all", "fields": ["given", "surname", "dob"]},
            {"name": "surname-dob", "fields": ["surname", "dob"]},
        ],
        "strata": [{"name": "race", "values": ["W", "B"]}],
        "scheme": {"name": "saul-v1", "bits": 1024},
    }
    return parse_manifest(json.dumps(document).encode())


MANIFEST = agreed()

names = st.sampled_from(["", "Ann", "Bo", "José", "O'Neil", "van Dyke", "李", "x y"])
people = st.lists(
    st.tuples(
        names,
        names,
        st.dates(min_value=np.datetime64("1930-01-01").item()).map(
            lambda day: day.replace(year=min(day.year, 2020), day=min(day.day, 28)).isoformat()
        ),
        names,
        st.sampled_from(["", "p", "q"]),
        st.sampled_from(["", "W", "B", "other"]),
    ),
    min_size=1,
    max_size=24,
).map(lambda rows: [(f"R{n}", *row) for n, row in enumerate(rows)] + [ANYBODY])
ANYBODY: Person = ("Z", "Zoe", "Zed", "1980-01-31", "", "", "")


def write(path: Path, rows: Sequence[Person], columns: Sequence[str], *, parquet: bool) -> Path:
    cells = [{name: row[COLUMNS.index(name)] for name in columns} for row in rows]
    if parquet:
        pq.write_table(pa.table({name: [c[name] for c in cells] for name in columns}), path)
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(cells)
    return path


def encode(path: Path, out: Path, *, threads: int) -> tuple[Encodings, set[frozenset[str]]]:
    """Words, presence and strata by record id and variant; and who is in whose group."""
    records = Records(MANIFEST, MANIFEST.partners[0], SourceFile(path))
    checked = records.check(lambda *_: None)
    with Encoder(MANIFEST, SECRET, epoch=0) as encoder:
        made = records.encode(
            checked, encoder, out / "payload", threads=threads, progress=lambda *_: None
        )
    matrix = EncodingMatrix.from_buffer(np.fromfile(made.path, np.uint8), made.layout)
    matrix.validate()
    ids = pq.read_table(out / "rows.parquet")["record_id"].to_pylist()
    sent = SentRows(out).before(len(ids))
    found: Encodings = {}
    groups: dict[bytes, set[str]] = {}
    for record, variant, place in zip(ids, sent.variants, sent.places, strict=True):
        found[record, int(variant)] = (
            matrix.words[:, place].tobytes(),
            matrix.presence[:, place].tobytes(),
            matrix.strata[place].tobytes(),
        )
        groups.setdefault(matrix.groups[place].tobytes(), set()).add(record)
    return found, {frozenset(group) for group in groups.values()}


@settings(max_examples=40, deadline=None)
@given(
    rows=people,
    order=st.randoms(use_true_random=False),
    batch=st.integers(1, 30),
    bucket=st.integers(1, 10).map(lambda n: n * 30_000),
    threads=st.sampled_from([1, 2]),
    parquet=st.booleans(),
)
def test_order_of_rows_and_columns_pieces_threads_and_format_change_nothing(
    rows: list[Person], order: Any, batch: int, bucket: int, threads: int, parquet: bool
) -> None:
    columns, shuffled = list(COLUMNS), list(rows)
    order.shuffle(columns)
    order.shuffle(shuffled)
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        for name in ("one", "two"):
            (home / name).mkdir()
        plain = write(home / "plain", rows, COLUMNS, parquet=False)
        expected = encode(plain, home / "one", threads=1)
        other = write(home / "other", shuffled, columns, parquet=parquet)
        with (
            patch.object(source, "BATCH_ROWS", batch),
            patch.object(matrixfile, "BUCKET_BYTES", bucket),
        ):
            assert encode(other, home / "two", threads=threads) == expected


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 200), seed=st.integers(0, 99), pieces=st.integers(1, 7))
def test_the_file_is_little_endian_whatever_the_platform(rows: int, seed: int, pieces: int) -> None:
    """Words held in the other byte order, in any pieces, give the same bytes."""
    rng = np.random.default_rng(seed)
    layout = EncodingLayout("saul-v1", 1024, ("a", "b"), rows, "0" * 64, ("race",))
    presence = rng.random((2, rows)) < 0.8
    words = rng.integers(0, 1 << 63, (2, rows, 16), np.uint64) * presence[..., None]
    strata = rng.integers(0, 9, (rows, 1), np.uint8)
    handles, groups = (rng.integers(0, 256, (rows, 16), np.uint8) for _ in range(2))
    expected = b"".join(EncodingMatrix(layout, handles, groups, strata, presence, words).sections())
    for order in ("<u8", ">u8"):
        with (
            tempfile.TemporaryDirectory() as directory,
            patch.object(matrixfile, "BUCKET_BYTES", 30_000),
        ):
            file = MatrixFile(Path(directory) / "payload", Path(directory), layout)
            file.begin(handles, groups)
            for part in np.array_split(rng.permutation(rows), pieces):
                encoded = Encoded(presence[:, part], words[:, part].astype(order))
                file.add(part, encoded, strata[part])
            file.place(lambda _: None)
            assert file.path.read_bytes() == expected
