"""One column of whole names that feeds several name fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from linkage.agent.records import Records
from linkage.agent.source import SourceFile
from linkage.agent.table import RecordTable
from linkage.agreement import Manifest
from linkage.errors import ManifestError
from tests.unit.agent.conftest import MakeManifest

PARTNER: dict[str, Any] = {
    "columns": {"given": "NAME", "surname": "NAME"},
    "full_names": {"given": "given", "surname": "surname"},
    "missing": ["not known"],
    "aliases": {"surname": ["MAIDEN"]},
}


def table(manifest: Manifest, tmp_path: Path, *rows: str) -> RecordTable:
    path = tmp_path / "jail.csv"
    path.write_text("id,NAME,dob,MAIDEN\n" + "\n".join(rows) + "\n")
    return RecordTable(manifest, manifest.partners[0], SourceFile(path))


def test_each_field_takes_its_part(make_manifest: MakeManifest, tmp_path: Path) -> None:
    rows = [
        '1,"Lee, Mary Ann",1980-01-31,',
        "2,Dr. Juan de la Cruz Jr.,1980-01-31,",
        "3,Not Known,1980-01-31,",
        "4,Lee,1980-01-31,Van Dyke May",
    ]
    (batch,) = table(make_manifest(PARTNER), tmp_path, *rows).records()
    found = batch.variants.columns
    assert found["given"].tolist() == ["mary", "juan", None, None, None]
    # A column of aliases holds the field alone.
    assert found["surname"].tolist() == ["lee", "delacruz", None, "lee", "vandyke may"]


def test_what_is_missing_is_counted_by_field(make_manifest: MakeManifest, tmp_path: Path) -> None:
    source = table(make_manifest(PARTNER), tmp_path, "1,Lee,1980-01-31,", "2,Ann Ray,,").source
    manifest = make_manifest(PARTNER)
    checked = Records(manifest, manifest.partners[0], source).check(lambda *_: None)
    assert checked.missing == {"given": 1, "surname": 0, "dob": 1}


def test_nicknames_of_a_part(make_manifest: MakeManifest, tmp_path: Path) -> None:
    fields = [
        {"name": "given", "type": "given_name", "nicknames": True},
        {"name": "surname", "type": "surname"},
        {"name": "dob", "type": "date_of_birth"},
    ]
    manifest = make_manifest(PARTNER, fields=fields)
    (batch,) = table(manifest, tmp_path, "1,Bill Ray,1980-01-31,").records()
    assert batch.variants.columns["given"].tolist() == ["bill william"]


@pytest.mark.parametrize("field", ["dob", "whole", "nobody"])
def test_only_parts_of_names_are_taken_of_whole_names(
    make_manifest: MakeManifest, field: str
) -> None:
    fields = [
        {"name": "given", "type": "given_name"},
        {"name": "surname", "type": "surname"},
        {"name": "dob", "type": "date_of_birth"},
        {"name": "whole", "type": "full_name"},
    ]
    with pytest.raises(ManifestError, match="not a declared part of a name"):
        make_manifest({"full_names": {field: "given"}}, fields=fields)
