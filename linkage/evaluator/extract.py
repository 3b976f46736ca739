"""Write the extract, and check one that was received.

- All or nothing: everything is written beside the target and renamed into place.
- The same tables, manifest and quality report give the same bytes; no time and no machine is
  recorded. (Parquet names the version of its writer, so that holds for one environment.)
- `manifest.json` is the manifest's canonical form: its SHA-256 is the fingerprint that the
  partners signed.
- In CSV a text that a spreadsheet could take for a formula has an apostrophe before it;
  Parquet holds the text as it is.

    write_extract(Path("extract"), assembled, manifest=manifest, quality=quality)
    verify_extract(Path("extract"))
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from linkage.agreement import Manifest
from linkage.errors import (
    AlreadyExistsError,
    DigestMismatchError,
    InvalidRequestError,
    NotFoundError,
)
from linkage.release.assemble import Assembled, dictionary
from linkage.reports.html import DataTable, Paragraph, Section, page

CHECKSUMS = "SHA256SUMS"

_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?\d+(\.\d+)?$"
_CHECKSUM_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def write_extract(
    directory: Path,
    assembled: Assembled,
    *,
    manifest: Manifest,
    quality: Mapping[str, Any],
    overwrite: bool = False,
) -> list[Path]:
    """Write the extract and give its files, in order of name.

    Args:
        directory: does not exist yet, or is empty.
        quality: the quality report of the run, as plain JSON values.
        overwrite: replace an extract that is there; anything else there is left alone.

    Raises:
        AlreadyExistsError: something is there that may not be replaced.
        InvalidRequestError: the tables are not those the manifest describes.
    """
    described = dictionary(manifest)
    _require_described(assembled, described)
    _require_free(directory, overwrite=overwrite)
    directory.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        _write_tables(work / "tables", assembled)
        _write(work / "data_dictionary.json", _json(described))
        _write(work / "data_dictionary.html", _dictionary_page(manifest, described).encode())
        _write(work / "quality_report.json", _json(quality))
        _write(work / "manifest.json", manifest.canonical)
        _write(work / "README.txt", _readme(manifest, assembled).encode())
        _write(work / CHECKSUMS, _checksums(work).encode())
        _replace(work, directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _files(directory)


def verify_extract(directory: Path) -> list[Path]:
    """Check every file against `SHA256SUMS` and give the files.

    Raises:
        NotFoundError: there is no extract.
        DigestMismatchError: files differ, are missing or do not belong; names them all.
    """
    sums = directory / CHECKSUMS
    if not sums.is_file():
        raise NotFoundError(f"{directory} holds no {CHECKSUMS}, so it is not a whole extract")
    expected = _read_checksums(sums)
    present = {path.relative_to(directory).as_posix() for path in _files(directory)} - {CHECKSUMS}
    faults = [f"{name} is missing" for name in sorted(set(expected) - present)]
    faults += [f"{name} does not belong" for name in sorted(present - set(expected))]
    for name in sorted(present & set(expected)):
        path = directory / name
        if path.is_symlink() or _sha256(path) != expected[name]:
            faults.append(f"{name} is not what was written")
    if faults:
        raise DigestMismatchError(
            f"the extract in {directory} was changed: {'; '.join(faults)}",
            remedy="Ask the assembler to send it again",
        )
    return _files(directory)


def _require_described(assembled: Assembled, described: Mapping[str, Any]) -> None:
    expected: dict[str, list[str]] = {}
    for entry in described["columns"]:
        expected.setdefault(entry["table"], []).append(entry["column"])
    found = {name: table.column_names for name, table in assembled.named.items()}
    if found != expected:
        raise InvalidRequestError(
            "the assembled tables are not the ones this manifest describes"
            f" (there: {', '.join(found)}; described: {', '.join(sorted(expected))})"
        )


def _require_free(directory: Path, *, overwrite: bool) -> None:
    if not directory.exists() and not directory.is_symlink():
        return
    if directory.is_dir() and not directory.is_symlink():
        if not any(directory.iterdir()):
            return
        if overwrite and (directory / CHECKSUMS).is_file():
            return
    raise AlreadyExistsError(
        f"{directory} is already there",
        remedy="Name another directory"
        if overwrite
        else "Name another directory, or say that the extract there may be replaced",
    )


def _replace(work: Path, directory: Path) -> None:
    if not directory.exists():
        work.rename(directory)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old-", dir=directory.parent))
    old = directory.rename(aside / directory.name)
    try:
        work.rename(directory)
    except OSError:
        old.rename(directory)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_tables(directory: Path, assembled: Assembled) -> None:
    directory.mkdir()
    for name, table in assembled.named.items():
        pq.write_table(
            table,
            directory / f"{name}.parquet",
            version="2.6",
            compression="zstd",
            compression_level=3,
            row_group_size=1 << 18,
            data_page_version="1.0",
            store_schema=False,
        )
        csv.write_csv(
            _without_formulas(table),
            directory / f"{name}.csv",
            csv.WriteOptions(quoting_style="needed", eol="\n"),
        )


def _without_formulas(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if not pa.types.is_string(field.type):
            continue
        texts = table[field.name]
        risky = pc.and_not(
            pc.match_substring_regex(texts, _FORMULA), pc.match_substring_regex(texts, _NUMBER)
        )
        marked = pc.binary_join_element_wise("'", texts, "")
        table = table.set_column(place, field, pc.if_else(risky, marked, texts))
    return table


def _json(value: Any) -> bytes:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_symlink() or path.is_file())


def _checksums(directory: Path) -> str:
    names = [path.relative_to(directory).as_posix() for path in _files(directory)]
    for path in _files(directory):
        with path.open("rb") as opened:
            os.fsync(opened.fileno())
    return "".join(f"{_sha256(directory / name)}  {name}\n" for name in sorted(names))


def _read_checksums(path: Path) -> dict[str, str]:
    expected = {}
    # What is not UTF-8 matches no line.
    for line in path.read_text("utf-8", errors="replace").splitlines():
        match = _CHECKSUM_LINE.fullmatch(line)
        if not match:
            raise DigestMismatchError(f"{path} holds a line that is not a checksum")
        expected[match[2]] = match[1]
    return expected


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _dictionary_page(manifest: Manifest, described: Mapping[str, Any]) -> str:
    tables: dict[str, list[Mapping[str, Any]]] = {}
    for entry in described["columns"]:
        tables.setdefault(entry["table"], []).append(entry)
    about = Section(
        "About this extract",
        [
            DataTable(
                "The agreement",
                ("", ""),
                [
                    ("Project", f"{manifest.project}, version {manifest.version}"),
                    ("Purpose", manifest.purpose),
                    ("Legal basis", manifest.legal_basis),
                    ("Fingerprint", manifest.fingerprint),
                ],
            ),
            Paragraph(
                "Tables about persons join by study_id. A study id is random and means nothing"
                " outside this extract; it stands for one person as far as linkage can tell."
            ),
        ],
    )
    sections = [about]
    for name, entries in tables.items():
        first = entries[-1]
        source = f", from {first['partner']} ({first['kind']})" if first["partner"] else ""
        rows = [
            (e["column"], e["type"], _meaning(e["transform"], e), e["description"]) for e in entries
        ]
        columns = ("Column", "Type", "How it was made", "Description")
        sections.append(Section(name, [DataTable(f"Columns of {name}{source}", columns, rows)]))
    return page(f"Data dictionary: {manifest.title}", sections, subtitle=manifest.project)


_TRANSFORMS = {
    "keep": "as the partner holds it",
    "year": "year of a date",
    "month": "year and month of a date",
    "age_band": "age in years, in bands",
    "zip3": "first three digits of a ZIP code; 000 for small areas",
    "number": "a number as the partner holds it",
    "generalise": "a coarser code, as the manifest maps it",
    "band": "a number in bands",
    "top_code": "a number, the large ones as one",
    "tract": "census tract, eleven digits",
    "county": "county, five digits",
    "day": "days from the person's first event over all tables; 0 is that event",
}


def _meaning(transform: str | None, entry: Mapping[str, Any]) -> str:
    if transform is None:
        return "by the linkage"
    text = _TRANSFORMS[transform]
    if "reference" in entry:
        text += f" of {entry['band_years']}, on {entry['reference']}"
    if "values" in entry:
        listed = ", ".join(entry["values"][:20])
        more = len(entry["values"]) - 20
        text += f"; one of: {listed}{f' and {more} more' if more > 0 else ''}"
    return text


def _readme(manifest: Manifest, assembled: Assembled) -> str:
    tables = "\n".join(
        f"    {name:<40} {table.num_rows:>12,} rows" for name, table in assembled.named.items()
    )
    return f"""{manifest.title}
{"=" * len(manifest.title)}

Linked, de-identified data of the project {manifest.project!r}, version {manifest.version} of its
agreement. It may be used for this purpose only:

    {manifest.purpose}

on this legal basis:

    {manifest.legal_basis}

The agreement ends on {manifest.expires.isoformat()}; the data may be kept for
{manifest.retention_days} days. Do not try to find out who a person is, and do not join this
extract with other data about persons.

Files

    tables/*.parquet, tables/*.csv   the same tables in two formats
    data_dictionary.html, .json      every column: type, meaning, source, how it was coarsened
    quality_report.json              how good the linkage is; read it before you count
    manifest.json                    the agreement; its SHA-256 is the signed fingerprint
    SHA256SUMS                       check with: sha256sum --check SHA256SUMS

Tables

{tables}

Tables about persons join by study_id, 32 hexadecimal digits. `people` has one row per person
and says which partners hold a record. A missed link makes two persons of one; a false one makes
one of two.

CSV is UTF-8 with a header row, comma-separated, lines ending in LF; text is quoted, an empty
unquoted cell is a missing value. A text that a spreadsheet could take for a formula (beginning
with = + - @, not a plain number) has an apostrophe before it; the Parquet files hold it
without. A spreadsheet may turn age bands and months into dates: import such columns as text.
"""
