"""What stands beside the tables of an extract: pages and files that say what they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from linkage.agreement import Manifest
from linkage.agreement.transforms import SHORT, Transform
from linkage.release.assemble import Assembled
from linkage.reports.html import DataTable, Paragraph, Section, page


def dictionary_page(manifest: Manifest, described: Mapping[str, Any]) -> str:
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


def _meaning(transform: str | None, entry: Mapping[str, Any]) -> str:
    if transform is None:
        return "by the linkage"
    text = SHORT[Transform(transform)]
    if "reference" in entry:
        text += f" of {entry['band_years']}, on {entry['reference']}"
    if "coarser" in entry:
        text += f"; in a coarser form: {entry['coarser']}"
    if "values" in entry:
        listed = ", ".join(entry["values"][:20])
        more = len(entry["values"]) - 20
        one = f"several joined by {entry['separator']}" if "separator" in entry else "one"
        text += f"; {one} of: {listed}{f' and {more} more' if more > 0 else ''}"
    return text


def readme(
    manifest: Manifest,
    assembled: Assembled,
    recipient: str | None,
    counts: Iterable[str],
    *,
    made_up: bool = False,
) -> str:
    receiver = next((r.title or r.name for r in manifest.recipients if r.name == recipient), None)
    warning = "ALL ROWS ARE MADE UP: a stand-in of the same form; they mean nothing.\n\n"
    begin = (warning if made_up else "") + (f"Made for {receiver}.\n\n" if receiver else "")
    made = "".join(f"    counts/{name}\n" for name in sorted(counts)) or "    none\n"
    tables = "\n".join(
        f"    {name:<40} {table.num_rows:>12,} rows" for name, table in assembled.named.items()
    )
    return f"""{manifest.title}
{"=" * len(manifest.title)}

{begin}Linked, de-identified data of the project {manifest.project!r}, version
{manifest.version} of its agreement. It may be used for this purpose only:

    {manifest.purpose}

on this legal basis:

    {manifest.legal_basis}

The agreement ends on {manifest.expires.isoformat()}; the data may be kept for
{manifest.retention_days} days. Do not try to find out who a person is, and do not join this
extract with other data about persons.

Files

    tables/*.parquet, tables/*.csv   the same tables in two formats
    data_dictionary.html, .json      every column: type, meaning, source, how it was coarsened
    datapackage.json                 the same as a Frictionless data package
    counts/*.csv                     tables of counts that may be published as they are
    linkage_error.html               how good the linkage is, by stratum; read it before you count
    quality_report.json              the same for programs
    suppression_log.html, .json      what the disclosure gate took away
    twin/                            made-up rows of the same form, from the agreement alone
    provenance.json                  release, software, the hub's log at the time
    manifest.json                    the agreement; its SHA-256 is the signed fingerprint
    SHA256SUMS                       check with: sha256sum --check SHA256SUMS

Tables

{tables}

Tables of counts (an empty count was suppressed; it is never 0)

{made}
Tables about persons join by study_id, 32 hexadecimal digits. `people` has one row per person
and says which partners hold a record. A missed link makes two persons of one; a false one makes
one of two.

CSV is UTF-8 with a header row, comma-separated, lines ending in LF; text is quoted, an empty
unquoted cell is a missing value. A text that a spreadsheet could take for a formula (beginning
with = + - @, not a plain number) has an apostrophe before it; the Parquet files hold it
without. A spreadsheet may turn age bands and months into dates: import such columns as text.
"""


def datapackage(
    manifest: Manifest, described: Mapping[str, Any], files: Mapping[str, Path]
) -> dict[str, Any]:
    """The extract's CSV files as a Frictionless data package (specs.frictionlessdata.io).

    Args:
        files: per table, its CSV file.
    """
    columns: dict[str, list[Mapping[str, Any]]] = {}
    for entry in described["columns"]:
        columns.setdefault(entry["table"], []).append(entry)
    resources = []
    for name, entries in columns.items():
        path = files[name]
        schema: dict[str, Any] = {
            "fields": [_field(entry) for entry in entries],
            "missingValues": [""],
        }
        if name == "people":
            schema["primaryKey"] = "study_id"
        elif any(entry["column"] == "study_id" for entry in entries):
            schema["foreignKeys"] = [
                {
                    "fields": "study_id",
                    "reference": {"resource": "people", "fields": "study_id"},
                }
            ]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        resources.append(
            {
                "name": name.replace("_", "-"),
                "path": f"tables/{path.name}",
                "profile": "tabular-data-resource",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "bytes": path.stat().st_size,
                "hash": f"sha256:{digest}",
                "schema": schema,
            }
        )
    # A reference names a resource as it is called here.
    return {
        "profile": "tabular-data-package",
        "name": manifest.project.replace("_", "-"),
        "title": manifest.title,
        "description": manifest.purpose,
        "version": str(manifest.version),
        "resources": resources,
    }


_TYPES = {"string": "string", "bool": "boolean", "float": "number", "double": "number"}


def _field(entry: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "name": entry["column"],
        "type": _TYPES.get(entry["type"], "integer"),
        "description": entry["description"],
    }
    if "separator" in entry:
        code = "|".join(map(re.escape, entry["values"]))
        found["constraints"] = {"pattern": f"({code})({re.escape(entry['separator'])}({code}))*"}
    elif "values" in entry:
        found["constraints"] = {"enum": list(entry["values"])}
    return found


def suppression_page(manifest: Manifest, log: Mapping[str, Any]) -> str:
    """The suppression log for people."""
    rows: list[Sequence[str]] = [
        (
            one["table"],
            column + (f" ({one['coarser'][column]})" if column in one["coarser"] else ""),
            f"{lost['values']:,}",
            f"{lost['suppressed']:,}",
            f"{one.get('smallest_class', 0):,}",
        )
        for one in log["rows"]
        for column, lost in one["suppressed"].items()
    ]
    counts: list[Sequence[str]] = [
        (
            one["table"],
            one["counted"],
            f"{one['cells']:,}",
            f"{one['zero']:,}",
            f"{one['suppressed']:,}",
            f"{one['suppressed_share']:.1%}",
        )
        for one in log["counts"]
    ]
    blind = [one["table"] for one in log["rows"] if one["rows"] and not one["quasi_identifiers"]]
    blocks: list[Paragraph | DataTable] = [
        Paragraph(
            f"Persons are hidden among at least {log['k']} who are alike in the columns below, in"
            " all tables together and in each. A value that would set fewer apart was taken away"
            " and is missing."
        ),
        DataTable(
            "Values taken away",
            ("Table", "Column", "Values", "Taken away", "Smallest class"),
            rows,
        ),
    ]
    if blind:
        blocks.append(
            Paragraph(
                "No column says that it is something by which a person may be known, so nothing"
                f" was taken away: {', '.join(blind)}."
            )
        )
    sections = [
        Section("Rows", blocks),
        Section(
            "Tables of counts",
            [
                Paragraph(
                    f"Counts below {log['min_cell']} but 0 are not shown, nor others from which"
                    " they could be computed. How many of those not shown are small is not said."
                ),
                DataTable(
                    "Cells that are not shown",
                    ("Table", "Counted", "Cells", "Zero", "Not shown", "Share of those not 0"),
                    counts,
                ),
            ],
        ),
    ]
    return page(f"Suppression log: {manifest.title}", sections, subtitle=manifest.project)
