"""The page about the extract's layout says what the code writes."""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
import re
from pathlib import Path

import pytest

from linkage.agreement import ContentField, Transform
from linkage.evaluator.extract import About, write_extract
from linkage.evaluator.twin import make_twin
from linkage.release.assemble import dictionary
from linkage.release.coarsen import output_type
from linkage.release.gate import gate
from linkage.release.parcels import PART_ROWS, ParcelAddress, pack
from tests.unit.evaluator.sample import MANIFEST
from tests.unit.release.test_gate import COUNTS, manifest, released

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "extract.md").read_text("utf-8")


def rows(section: str) -> list[list[str]]:
    """The names in the first column of the tables under a heading, a list for each row."""
    text = PAGE[PAGE.index(f"\n## {section}") + 4 :]
    text = text[: text.find("\n## ")] if "\n## " in text else text
    lines = re.findall(r"^\| (.+?) \|", text, flags=re.MULTILINE)
    return [found for line in lines if (found := re.findall(r"`([^`]+)`", line))]


def names(section: str) -> set[str]:
    return {name for row in rows(section) for name in row}


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    halves = {f"T{n}": "west" if n < 4 else "east" for n in range(8)}
    coarser = [{"name": "halves", "means": "tract", "mapping": halves, "becomes": "municipality"}]
    agreed = manifest(k=9, sensitive=["police_person.illness"], tables=COUNTS, coarser=coarser)
    passed = gate(agreed, released(agreed))
    about = About(
        counts=passed.counts,
        suppression=passed.log,
        coarser=passed.coarser,
        provenance={},
        stata=True,
    )
    place = tmp_path_factory.mktemp("x") / "extract"
    quality = {
        "recommended": {"threshold": 0.5, "links": 3, "precision": 0.9, "recall": 0.9},
        "overall": {"thresholds": []},
    }
    write_extract(place, passed.assembled, manifest=agreed, quality=quality, about=about)
    return place


def test_every_file_has_its_line(extract: Path) -> None:
    patterns = [
        re.sub(r"PARTNER_TABLE|NAME", "*", name)
        for row in rows("Files")
        for name in row
        if "/" in name or "." in name or name == "SHA256SUMS"
    ]
    files = [p.relative_to(extract).as_posix() for p in extract.rglob("*") if p.is_file()]
    for file in files:
        assert any(fnmatch.fnmatch(file, one) for one in patterns), file
    for one in patterns:
        assert any(fnmatch.fnmatch(file, one) for file in files), one


def test_every_transform_has_its_type() -> None:
    said = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", PAGE, flags=re.MULTILINE))
    fields = {one: ContentField.model_construct(name="f", transform=one) for one in Transform}
    assert said == {one.value: str(output_type(field)) for one, field in fields.items()}


def test_every_key_of_the_dictionary_has_its_line(extract: Path) -> None:
    found = {key for entry in dictionary(MANIFEST)["columns"] for key in entry}
    written = json.loads((extract / "data_dictionary.json").read_bytes())
    found |= {key for entry in written["columns"] for key in entry}
    band = ContentField.model_construct(
        name="age", transform=Transform.AGE_BAND, reference=dt.date(2024, 1, 1), description=""
    )
    first = MANIFEST.partners[0]
    table = first.content[1].model_copy(update={"fields": (band,)})
    aged = MANIFEST.model_copy(
        update={"partners": (first.model_copy(update={"content": (table,)}),)}
    )
    found |= {key for entry in dictionary(aged)["columns"] for key in entry}
    assert names("Data dictionary") - {"lookup"} == found
    assert {"linkage", "project", "manifest", "columns"} == set(written)


def test_every_key_of_the_suppression_log_has_its_line(extract: Path) -> None:
    log = json.loads((extract / "suppression_log.json").read_bytes())
    found = {f"{part}[].{key}" for part in ("rows", "counts") for one in log[part] for key in one}
    assert names("Suppression log") == found
    assert set(log) == {"linkage", "k", "l", "min_cell", "rows", "counts"}


def test_the_parcel_is_as_it_says() -> None:
    address = ParcelAddress("p", MANIFEST.fingerprint, "1" * 32, "hospital", "bureau")
    head = pack(make_twin(MANIFEST).tables, address, lambda raw, _: raw).partition(b"\n")[0]
    said = json.loads(head)
    found = {"linkage", *(f"parts[].{key}" for part in said["parts"] for key in part)}
    assert names("Before it: the parcel") == found
    assert said["linkage"] in PAGE
    assert f"{PART_ROWS:,} rows" in PAGE
