from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from linkage.agent import content as module
from linkage.agent.contact import Contact
from linkage.agent.content import pack_content
from linkage.agent.content_check import check_content
from linkage.agent.projecthome import ProjectHome
from linkage.agent.rowmap import RowMap
from linkage.agent.source import SourceFile
from linkage.cli.main import app
from linkage.errors import AgreementError, InputError, LinkageError, SourceError, UntrustedKeyError
from linkage.release.parcels import ParcelAddress, unpack
from linkage.release.pseudonyms import draw_ids
from linkage.trust.keyring import Keyring
from linkage.v1 import enrolment_pb2, project_pb2, release_pb2
from tests.unit.agent.conftest import MakeManifest

MARKER = "Zqmarker17"
RELEASE = "0" * 32
TABLES = [
    {
        "name": "person",
        "kind": "person",
        "fields": [{"name": "sex", "column": "SEX", "values": ["F", "M"]}],
    },
    {
        "name": "visits",
        "kind": "event",
        "record_id": "id",
        "fields": [{"name": "program"}, {"name": "month", "column": "day", "transform": "month"}],
    },
]
VISITS = ["R1,A,2024-05-06", "R3,B,2024-06-07", "R1,C,"]


class Wire:
    """Stands for a connection: gives the hub's list of index ids."""

    channel: Any = None

    def __init__(self, handles: Any, ids: Any) -> None:
        self._answer = release_pb2.DownloadIndexIdsResponse(
            handles=handles.tobytes(), index_ids=ids.tobytes()
        )

    def receive(self, method: Any, request: Any) -> Iterator[Any]:
        del method, request
        yield self._answer


class Bench:
    """Everything that packing a parcel needs, with one thing to break at a time."""

    def __init__(self, tmp_path: Path, make_manifest: MakeManifest) -> None:
        self.manifest = make_manifest({"content": TABLES})
        self.file = tmp_path / "jail.csv"
        self.file.write_text(
            "id,SEX,given,LAST,dob\n"
            "R1,F,Maria,Lopez,1987-03-14\nR2,M,Ezra,Quigley,1950-01-02\nR3,,Ann,Reed,1999-12-31\n"
        )
        self.submitted = SourceFile(self.file).digest()
        self.visits = tmp_path / "visits.csv"
        self.write_visits(*VISITS)
        self.content = {"visits": self.visits}
        self.lookups: dict[str, Path] = {}
        self.keyring = Keyring.create(tmp_path / "keys")
        self.bureau = Keyring.create(tmp_path / "bureau")
        self.keyring.trust("bureau", self.bureau.fingerprint)
        self.handles, self.ids = draw_ids(3), draw_ids(3)
        nothing = np.empty(0, np.int64)
        self.sent = RowMap(np.arange(3), self.handles, ["R1", "R2", "R3"], nothing, frozenset())
        self.shuffled = [2, 0, 1]

    def write_visits(self, *rows: str, header: str = "id,program,day") -> None:
        self.visits.write_text("\n".join([header, *rows]) + "\n")

    def pack(self) -> dict[str, Any]:
        wire: Any = Wire(self.handles[self.shuffled], self.ids[self.shuffled])
        party = enrolment_pb2.Party(
            name="bureau",
            signing_key=self.bureau.signing_public,
            sealing_key=self.bureau.sealing_key.public,
        )
        shown = project_pb2.Project(parties=[party])
        kept = ProjectHome(self.file.parent, self.manifest.project)
        contact = Contact(wire, self.keyring, kept, "north", self.manifest, shown)
        self.packed = pack_content(
            contact,
            RELEASE,
            sent=self.sent,
            file=self.file,
            submitted=self.submitted,
            content=self.content,
            lookups=self.lookups,
        )
        raw, self.left_out = self.packed.parcel, self.packed.left_out
        assert MARKER.encode() not in raw
        address = ParcelAddress("county", self.manifest.fingerprint, RELEASE, "north", "bureau")
        return unpack(raw, address, self.bureau.sealing_key.open)

    def refused(self, kind: type[LinkageError]) -> LinkageError:
        with pytest.raises(kind) as caught:
            self.pack()
        assert caught.value.remedy
        assert MARKER not in str(caught.value)
        return caught.value


@pytest.fixture
def bench(tmp_path: Path, make_manifest: MakeManifest, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(module, "ReleaseServiceStub", lambda channel: _Stub())
    return Bench(tmp_path, make_manifest)


class _Stub:
    DownloadIndexIds = None


def test_rows_come_under_their_own_index_ids(bench: Bench) -> None:
    found = bench.pack()
    ids = [bytes(row) for row in bench.ids]
    person = {row["index_id"]: row["sex"] for row in found["person"].to_pylist()}
    assert person == dict(zip(ids, ["F", "M", None], strict=True))
    visits = sorted(tuple(row.values()) for row in found["visits"].to_pylist() if row["month"])
    assert visits == sorted([(ids[0], "A", "2024-05"), (ids[2], "B", "2024-06")])
    assert found["visits"].num_rows == 3
    assert found["visits"].column_names == ["index_id", "program", "month"]


def test_an_unknown_table(bench: Bench) -> None:
    bench.content["arrests"] = bench.visits
    error = bench.refused(InputError)
    assert "'arrests'" in str(error)
    assert "visits" in str(error.remedy)


def test_a_table_without_its_file(bench: Bench) -> None:
    bench.content.clear()
    assert "--content visits=FILE" in str(bench.refused(InputError))


def test_rows_of_unknown_records(bench: Bench) -> None:
    bench.write_visits(VISITS[0], f"{MARKER},A,2024-05-06", f"{MARKER}2,A,2024-05-06")
    error = bench.refused(SourceError)
    assert isinstance(error, SourceError)
    assert [(p.row, p.field) for p in error.problems] == [(2, "id"), (3, "id")]
    assert "visits.csv" in str(error)


def test_an_identifier_file_other_than_the_one_submitted(bench: Bench) -> None:
    bench.file.write_text("id,SEX,given,LAST,dob\nR2,M,a,b,\nR1,F,c,d,\nR3,,e,f,\n")
    error = bench.refused(SourceError)
    assert "jail.csv: the file is not the one that was submitted" in str(error)


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        (f"R1,{MARKER} was seen here again today,2024-05-06", "program", "more than 3 words"),
        (f"R1,{MARKER}@example.org,2024-05-06", "program", "e-mail"),
        (f"R1,A,05/{MARKER}", "day", "not a date of the form %Y-%m-%d"),
    ],
)
def test_cells_that_may_not_leave(bench: Bench, row: str, field: str, message: str) -> None:
    bench.write_visits(VISITS[0], row)
    error = bench.refused(SourceError)
    assert isinstance(error, SourceError)
    assert (error.problems[0].row, error.problems[0].field) == (2, field)
    assert message in error.problems[0].message


def test_a_missing_content_column(bench: Bench) -> None:
    bench.write_visits("R1,A,2024-05-06", header="id,programme,day")
    assert "'programme'" in str(bench.refused(SourceError))


def test_index_ids_of_other_rows_are_refused(bench: Bench) -> None:
    bench.shuffled = [0, 1, 1]
    with pytest.raises(AgreementError, match="not those of the rows submitted"):
        bench.pack()
    bench.shuffled = [0, 1]
    with pytest.raises(AgreementError, match="not those of the rows submitted"):
        bench.pack()


def test_the_assemblers_keys_must_be_the_compared_ones(bench: Bench, tmp_path: Path) -> None:
    bench.bureau = Keyring.create(tmp_path / "another")
    assert "differ from those you trusted" in str(bench.refused(UntrustedKeyError))
    assert np.array_equal(np.sort(bench.shuffled), [0, 1, 2])


def skip_the_second(bench: Bench) -> None:
    bench.handles, bench.ids = bench.handles[[0, 2]], bench.ids[[0, 2]]
    bench.shuffled = [1, 0]
    bench.sent = RowMap(
        np.array([0, 2]), bench.handles, ["R1", "R3"], np.array([1]), frozenset(["R2"])
    )


def test_content_of_skipped_records_is_left_out_and_counted(bench: Bench) -> None:
    skip_the_second(bench)
    # What makes a record unfit may stand in its content too.
    bench.write_visits("R1,A,2024-05-06", f"R2,{MARKER},nodate", "R3,B,2024-06-07", "R2,A,")
    found = bench.pack()
    assert bench.left_out == {"person": 1, "visits": 2}
    ids = [bytes(row) for row in bench.ids]
    person = {row["index_id"]: row["sex"] for row in found["person"].to_pylist()}
    assert person == dict(zip(ids, ["F", None], strict=True))
    visits = {row["index_id"]: row["program"] for row in found["visits"].to_pylist()}
    assert visits == dict(zip(ids, ["A", "B"], strict=True))


def test_problems_name_rows_of_the_file_where_some_were_left_out(bench: Bench) -> None:
    skip_the_second(bench)
    bench.write_visits("R2,A,2024-05-06", "R1,A,2024-05-06", f"R3,B,{MARKER}")
    error = bench.refused(SourceError)
    assert isinstance(error, SourceError)
    assert [(p.row, p.field) for p in error.problems] == [(3, "day")]


def test_a_record_neither_sent_nor_skipped_is_still_refused(bench: Bench) -> None:
    skip_the_second(bench)
    bench.write_visits("R2,A,2024-05-06", "R9,A,2024-05-06")
    error = bench.refused(SourceError)
    assert isinstance(error, SourceError)
    assert [p.row for p in error.problems] == [2]


def test_a_table_about_no_person_joins_to_nothing(
    tmp_path: Path, make_manifest: MakeManifest, bench: Bench
) -> None:
    sites = {
        "name": "sites",
        "kind": "site",
        "fields": [
            {"name": "tract", "means": "tract"},
            {"name": "money", "transform": "number", "means": "funded_amount"},
        ],
    }
    bench.manifest = make_manifest({"content": [*TABLES, sites]})
    assert "--content sites=FILE" in str(bench.refused(InputError))
    file = tmp_path / "sites.csv"
    file.write_text("tract,money,director\n010202,1250.5,X\n010100,,Y\n")
    bench.content["sites"] = file
    assert bench.pack()["sites"].to_pylist() == [
        {"tract": "010100", "money": None},
        {"tract": "010202", "money": 1250.5},
    ]
    file.write_text(f"tract,money\n010202,{MARKER}\n")
    error = bench.refused(SourceError)
    assert isinstance(error, SourceError)
    assert (error.problems[0].row, error.problems[0].field) == (1, "money")


def test_a_dry_run_says_what_would_leave_and_what_may_not(bench: Bench) -> None:
    partner = bench.manifest.partners[0]
    person, visits = check_content(bench.manifest, partner, bench.file, bench.content)
    assert (person.table, person.rows, person.total) == ("person", 3, 0)
    column = person.columns[0]
    assert (column.name, column.column, column.transform) == ("sex", "SEX", "keep")
    assert (column.filled, column.missing, column.distinct, column.few) == (2, 1, 2, 2)
    assert [(c.name, c.filled, c.distinct) for c in visits.columns] == [
        ("program", 3, 3),
        ("month", 2, 2),
    ]
    bench.write_visits("R1,lopez-7,2024-05-06", "R2,A,May", "R2,A,2024-05-06")
    person, visits = check_content(bench.manifest, partner, bench.file, bench.content)
    assert person.rows == 3
    assert [(p.row, p.field) for p in visits.problems] == [(1, "program"), (2, "day")]
    assert "an identifier of the record" in visits.problems[0].message
    assert (visits.total, visits.columns) == (2, ())
    bench.write_visits("R9,A,2024-05-06")
    (problem,) = check_content(bench.manifest, partner, bench.file, bench.content)[1].problems
    assert "no record with this id" in problem.message
    with pytest.raises(InputError, match="no content table 'arrests'"):
        check_content(bench.manifest, partner, bench.file, {"arrests": bench.visits})


def test_the_command_shows_it_and_exits_with_2(bench: Bench, tmp_path: Path) -> None:
    manifest = tmp_path / "m.json"
    manifest.write_bytes(bench.manifest.canonical)
    words = ["agent", "check", str(bench.file), "--manifest", str(manifest), "--partner", "north"]
    words += ["--content", f"visits={bench.visits}"]
    done = CliRunner().invoke(app, words)
    assert "content table visits (event) from visits.csv" in done.output
    assert "3 rows would leave" in done.output
    bench.write_visits(f"R1,{MARKER}@example.org,2024-05-06")
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 2
    assert MARKER not in done.output
    shown = json.loads(done.output.strip().splitlines()[-1])
    assert shown["content"]["visits"]["problems"][0]["field"] == "program"
