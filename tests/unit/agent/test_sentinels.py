"""Values that mean "not known", declared for all fields or for one."""

from __future__ import annotations

from pathlib import Path

from linkage.agent.records import Records
from linkage.agent.source import SourceFile
from tests.unit.agent.conftest import MakeManifest


def test_declared_values_are_missing_and_counted(
    make_manifest: MakeManifest, tmp_path: Path
) -> None:
    path = tmp_path / "jail.csv"
    rows = ["1,NONE,None,1980-01-31", "2,,unk,1900-01-01", "3,Unk,Lee,1980-01-31"]
    path.write_text("id,given,LAST,dob\n" + "\n".join(rows) + "\n")
    partner = {"missing": ["unk"], "missing_values": {"given": ["none"], "dob": ["1900-01-01"]}}
    manifest = make_manifest(partner)
    records = Records(manifest, manifest.partners[0], SourceFile(path))
    found = records.check(lambda step, done, total: None)
    assert found.sentinels == {"given": 2, "surname": 1, "dob": 1}
    assert found.missing == {"given": 3, "surname": 1, "dob": 1}
