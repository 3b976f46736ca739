"""A small extract: a hospital with events and persons, a shelter with services, a court."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa

from linkage.agreement import Manifest
from linkage.evaluator.extract import write_extract
from linkage.release.assemble import assemble
from linkage.release.deidentify import attach_index_ids
from linkage.release.pseudonyms import draw_ids

CODE = {"name": "code", "values": ["a", "b", "<c>"]}
MONTH = {"name": "month", "transform": "month"}
SEX = {"name": "sex", "values": ["f", "m"]}
MANIFEST = Manifest.model_validate(
    {
        "linkage": "manifest/1",
        "project": "county",
        "title": "County <i>",
        "purpose": "p",
        "legal_basis": "l",
        "expires": "2030-01-01",
        "partners": [
            {
                "name": "hospital",
                "record_id": "rid",
                "content": [
                    {"name": "visits", "kind": "event", "record_id": "r", "fields": [CODE, MONTH]},
                    {"name": "patients", "kind": "person", "fields": [SEX]},
                ],
            },
            {
                "name": "shelter",
                "record_id": "rid",
                "content": [
                    {"name": "nights", "kind": "service", "record_id": "r", "fields": [MONTH]}
                ],
            },
            {"name": "court"},
        ],
        "recipients": [{"name": "bureau", "role": "assembler"}],
        "fields": [{"name": "given", "type": "given_name"}],
        "match_keys": [{"name": "k", "fields": ["given"]}],
        "scheme": {"name": "saul-v1"},
    }
)


def extract(directory: Path, *, both: int = 300, court: int = 7) -> Path:
    """Hospital 1,000 people; `both` of them in the shelter too, `court` in the court as well."""
    chance = random.Random(5)
    people = draw_ids(1000)
    index = {name: draw_ids(1000) for name in ("hospital", "shelter", "court")}
    size = {"hospital": 1000, "shelter": both, "court": court}
    study = {
        name: {bytes(index[name][n]): bytes(people[n]) for n in range(size[name])} for name in size
    }
    who = [chance.randrange(1000) for _ in range(3000)]
    nights = [chance.randrange(both) for _ in range(900)]

    def months(count: int) -> pa.Array:
        return pa.array([f"2024-{chance.randrange(1, 13):02d}" for _ in range(count)])

    codes = ["<c>" if n < 6 else "a" if n % 2 else "b" for n in who]
    tables = {
        ("hospital", "visits"): attach_index_ids(
            pa.table({"code": codes, "month": months(3000)}), index["hospital"][who]
        ),
        ("hospital", "patients"): attach_index_ids(
            pa.table({"sex": ["f" if n % 3 else "m" for n in range(1000)]}), index["hospital"]
        ),
        ("shelter", "nights"): attach_index_ids(
            pa.table({"month": months(900)}), index["shelter"][nights]
        ),
    }
    quality = {
        "recommended": {"threshold": 0.5, "links": 300, "precision": 0.987, "recall": 0.912},
        "overall": {"thresholds": []},
    }
    assembled = assemble(MANIFEST, tables, study)
    write_extract(directory, assembled, manifest=MANIFEST, quality=quality)
    return directory
