from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkage.agent import copying
from linkage.agent.copying import require_column, with_column
from linkage.agent.source import SourceFile
from linkage.errors import InputError, SourceError
from tests.unit.agent.dedupe.conftest import silent


def copy(path: Path, cells: Sequence[str], column: str = "group") -> bytes:
    return b"".join(with_column(SourceFile(path), column, cells, silent))


def csv_copy(directory: Path, data: bytes, cells: Sequence[str], column: str = "group") -> bytes:
    path = directory / "file.csv"
    path.write_bytes(data)
    return copy(path, cells, column)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\n1,2\n3,4\n", b"a,b,group\n1,2,g1\n3,4,\n"),
        (b"a,b\n1,2\n3,4", b"a,b,group\n1,2,g1\n3,4,"),
        (b"a,b\r\n1,2\r\n3,4\r\n", b"a,b,group\r\n1,2,g1\r\n3,4,\r\n"),
        (b"a,b\r1,2\r3,4\r", b"a,b,group\r1,2,g1\r3,4,\r"),
        (b"\xef\xbb\xbfa,b\n1,2\n3,4\n", b"\xef\xbb\xbfa,b,group\n1,2,g1\n3,4,\n"),
        (b'\xef\xbb\xbf"a",b\n1,2\n3,4\n', b'\xef\xbb\xbf"a",b,group\n1,2,g1\n3,4,\n'),
        (b"a,b\n1,2\n\n3,4\n\n", b"a,b,group\n1,2,g1\n\n3,4,\n\n"),
        (b'a,b\n"1\n\r\n,",2\n3,"4"""\n', b'a,b,group\n"1\n\r\n,",2,g1\n3,"4""",\n'),
        (b'a,b\n1"x"",2\n"3"y,4\n', b'a,b,group\n1"x"",2,g1\n"3"y,4,\n'),
        (b"a,b\n caf\xc3\xa9 ,\n,\n", b"a,b,group\n caf\xc3\xa9 ,,g1\n,,\n"),
        (b"a\n1\n\n2\n", b"a,group\n1,g1\n\n2,\n"),
        (b'a\n""\n2\n', b'a,group\n"",g1\n2,\n'),
    ],
)
def test_every_other_byte_of_a_csv_file_stays(tmp_path: Path, data: bytes, expected: bytes) -> None:
    assert csv_copy(tmp_path, data, ["g1", ""]) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"group,a\n,1\nx,2\n", b"group,a\ng1,1\n,2\n"),
        (b'a,group,b\n"1,\n",old,2\n3,"o,l""d",4\n', b'a,group,b\n"1,\n",g1,2\n3,,4\n'),
        (b"a,group\r\n1,x\r\n2,", b"a,group\r\n1,g1\r\n2,"),
    ],
)
def test_a_column_is_replaced_where_it_stands(tmp_path: Path, data: bytes, expected: bytes) -> None:
    assert csv_copy(tmp_path, data, ["g1", ""]) == expected


def test_a_column_whose_name_needs_quotes(tmp_path: Path) -> None:
    made = csv_copy(tmp_path, b"a\n1\n", ["g1"], 'my "own", group')
    assert made == b'a,"my ""own"", group"\n1,g1\n'
    (tmp_path / "copy.csv").write_bytes(made)
    assert SourceFile(tmp_path / "copy.csv").columns == ["a", 'my "own", group']


def test_pieces_make_the_same_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(1000))
    cells = [str(n % 7) for n in range(1000)]
    whole = csv_copy(tmp_path, data, cells)
    monkeypatch.setattr(copying, "PIECE_BYTES", 64)
    told: list[tuple[int, int]] = []
    source = SourceFile(tmp_path / "file.csv")
    pieces = list(
        with_column(source, "group", cells, lambda _s, done, total: told.append((done, total)))
    )
    assert b"".join(pieces) == whole
    assert len(pieces) > 10
    assert told[-1] == (1000, 1000)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_copy_with_other_rows_than_were_read_is_refused(tmp_path: Path, rows: int) -> None:
    with pytest.raises(SourceError, match="another number of rows"):
        csv_copy(tmp_path, b"a\n1\n2\n", ["g1"] * rows)


def test_a_quote_that_is_not_closed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="row 2: a quote is not closed"):
        csv_copy(tmp_path, b'a,b\n1,2\n3,"4\n', ["g1", ""])


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a\n1\n")
    pieces = with_column(SourceFile(path), "group", ["g1"], silent)
    path.write_bytes(b"a\n1\n2\n")
    with pytest.raises(SourceError, match="changed"):
        list(pieces)


def test_parquet_keeps_types_values_and_metadata(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "name": ["Zoë", None, "李"],
            "n": [1, 2, 3],
            "when": pd.to_datetime(["2001-02-03", None, "1980-01-02"]),
            "tags": [["a"], [], None],
            "kind": pd.Categorical(["x", "y", "x"]),
        },
        index=pd.Index([7, 8, 9], name="place"),
    )
    path = tmp_path / "file.parquet"
    frame.to_parquet(path, compression="zstd")
    (tmp_path / "copy.parquet").write_bytes(copy(path, ["g1", "", "g1"]))
    old, new = pq.read_table(path), pq.read_table(tmp_path / "copy.parquet")
    assert new.drop_columns("group").equals(old)
    assert new.schema.metadata == old.schema.metadata
    assert new["group"].to_pylist() == ["g1", None, "g1"]
    assert (
        pq.ParquetFile(tmp_path / "copy.parquet").metadata.row_group(0).column(0).compression
        == "ZSTD"
    )
    again = pd.read_parquet(tmp_path / "copy.parquet")
    assert again.index.equals(frame.index)


def test_a_column_of_a_parquet_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    table = pa.table({"a": [1, 2], "group": [5, 6], "b": ["x", "y"]})
    pq.write_table(table, path, compression="none")
    (tmp_path / "copy.parquet").write_bytes(copy(path, ["g1", ""]))
    new = pq.read_table(tmp_path / "copy.parquet")
    assert new.column_names == ["a", "group", "b"]
    assert new["group"].to_pylist() == ["g1", None]
    assert new["b"].to_pylist() == ["x", "y"]


def test_parquet_in_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BATCH_ROWS", 100)
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"a": list(range(1050))}), path)
    cells = [f"g{n % 3}" for n in range(1050)]
    (tmp_path / "copy.parquet").write_bytes(copy(path, cells))
    new = pq.read_table(tmp_path / "copy.parquet")
    assert new["a"].to_pylist() == list(range(1050))
    assert new["group"].to_pylist() == cells


@pytest.mark.parametrize("rows", [1, 3])
def test_parquet_with_other_rows_is_refused(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    with pytest.raises(SourceError, match="another number of rows"):
        copy(path, ["g1"] * rows)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 201, "a\0"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a\n1\n")
    with pytest.raises(InputError, match="needs a name"):
        require_column(SourceFile(path), name, replace=False)


def test_a_column_is_replaced_only_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b,b\n1,2,3\n")
    source = SourceFile(path)
    require_column(source, "c", replace=False)
    require_column(source, "a", replace=True)
    with pytest.raises(InputError, match="has a column 'a' already"):
        require_column(source, "a", replace=False)
    with pytest.raises(InputError, match="'b' already"):
        require_column(source, "b", replace=True)
