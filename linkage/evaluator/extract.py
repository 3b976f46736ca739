"""Write the extract, and check one that was received.

- All or nothing: everything is written beside the target and renamed into place (see `placing`).
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
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from linkage.agreement import Manifest
from linkage.agreement.disclosure import Coarser
from linkage.errors import (
    AlreadyExistsError,
    DigestMismatchError,
    InvalidRequestError,
    NotFoundError,
)
from linkage.evaluator.describe import (
    datapackage,
    dictionary_page,
    readme,
    suppression_page,
)
from linkage.evaluator.placing import beside, put, recover
from linkage.evaluator.stata import write_stata
from linkage.evaluator.twin import make_twin
from linkage.release.assemble import Assembled, dictionary
from linkage.release.disclosure.gate import ProtectedTable
from linkage.release.forms import describe_forms
from linkage.reports.quality import quality_page

CHECKSUMS = "SHA256SUMS"

_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?\d+(\.\d+)?$"
_CHECKSUM_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True)
class About:
    """What an extract says of itself, beside its tables.

    Attributes:
        recipient: whose extract it is; None for one with every field.
        counts: protected tables of counts.
        suppression: the gate's log.
        coarser: forms that columns took at the gate, by (table, column).
        provenance: release, software and the hub's log.
        stata: write Stata files too.
        made_up: it is a dummy twin itself; others have one beside their tables.
    """

    recipient: str | None = None
    counts: Mapping[str, ProtectedTable] = field(default_factory=dict)
    suppression: Mapping[str, Any] | None = None
    coarser: Mapping[tuple[str, str], Coarser] = field(default_factory=dict)
    provenance: Mapping[str, Any] | None = None
    stata: bool = False
    made_up: bool = False


def write_extract(
    directory: Path,
    assembled: Assembled,
    *,
    manifest: Manifest,
    quality: Mapping[str, Any],
    overwrite: bool = False,
    about: About = About(),
    ready: Callable[[str], None] = lambda digest: None,
) -> list[Path]:
    """Write the extract and give its files, in order of name.

    Args:
        directory: does not exist yet, or is empty.
        quality: the quality report of the run, as plain JSON values.
        overwrite: replace an extract that is there; anything else there is left alone.
        ready: called with the extract's digest when all is written and nothing is to be seen yet;
            what it raises keeps the extract from being there.

    Raises:
        AlreadyExistsError: something is there that may not be replaced.
        InvalidRequestError: the tables are not those the manifest describes.
    """
    described = describe_forms(dictionary(manifest, about.recipient), about.coarser)
    _require_described(assembled, described)
    recover(directory)
    _require_free(directory, overwrite=overwrite)
    with beside(directory) as work:
        write_tables(work / "tables", assembled, described, stata=about.stata)
        _write_counts(work / "counts", about.counts)
        if not about.made_up:
            twin = make_twin(manifest, about.recipient, about.coarser)
            write_tables(work / "twin", twin, described)
        files = {name: work / "tables" / f"{name}.csv" for name in assembled.named}
        _write(work / "data_dictionary.json", _json(described))
        _write(work / "data_dictionary.html", dictionary_page(manifest, described).encode())
        _write(work / "datapackage.json", _json(datapackage(manifest, described, files)))
        _write(work / "quality_report.json", _json(quality))
        if "overall" in quality:
            _write(work / "linkage_error.html", quality_page(quality).encode())
        if about.suppression is not None:
            _write(work / "suppression_log.json", _json(about.suppression))
            page = suppression_page(manifest, about.suppression)
            _write(work / "suppression_log.html", page.encode())
        if about.provenance is not None:
            _write(work / "provenance.json", _json(about.provenance))
        _write(work / "manifest.json", manifest.canonical)
        text = readme(manifest, assembled, about.recipient, about.counts, made_up=about.made_up)
        _write(work / "README.txt", text.encode())
        _write(work / CHECKSUMS, _checksums(work).encode())
        ready(digest_of(work))
        put(work, directory)
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


def digest_of(directory: Path) -> str:
    """What stands for an extract as a whole: SHA-256 of its list of checksums."""
    return _sha256(directory / CHECKSUMS)


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


def write_tables(
    directory: Path, assembled: Assembled, described: Mapping[str, Any], *, stata: bool = False
) -> None:
    """Each table as Parquet and CSV, and for Stata where that is asked for."""
    directory.mkdir()
    for name, table in assembled.named.items():
        _write_parquet(table, directory / f"{name}.parquet")
        _write_csv(table, directory / f"{name}.csv")
        if stata:
            labels = {
                entry["column"]: str(entry["description"])
                for entry in described["columns"]
                if entry["table"] == name
            }
            write_stata(directory / f"{name}.dta", table, labels)


def _write_counts(directory: Path, counts: Mapping[str, ProtectedTable]) -> None:
    if counts:
        directory.mkdir()
    for name, one in counts.items():
        table = pa.Table.from_pandas(one.cells, preserve_index=False).replace_schema_metadata(None)
        _write_parquet(table, directory / f"{name}.parquet")
        _write_csv(table, directory / f"{name}.csv")


def _write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(
        table,
        path,
        version="2.6",
        compression="zstd",
        compression_level=3,
        row_group_size=1 << 18,
        data_page_version="1.0",
        store_schema=False,
    )


def _write_csv(table: pa.Table, path: Path) -> None:
    options = csv.WriteOptions(quoting_style="needed", eol="\n")
    csv.write_csv(_without_formulas(table), path, options)


def _without_formulas(table: pa.Table) -> pa.Table:
    for place, column in enumerate(table.schema):
        if not pa.types.is_string(column.type):
            continue
        texts = table[column.name]
        risky = pc.and_not(
            pc.match_substring_regex(texts, _FORMULA), pc.match_substring_regex(texts, _NUMBER)
        )
        marked = pc.binary_join_element_wise("'", texts, "")
        table = table.set_column(place, column, pc.if_else(risky, marked, texts))
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
