"""An extract of a million events, from opened parcels to the files: time and memory.

python -m tests.bench.bench_extract --events 1000000
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from linkage.agreement import Manifest
from linkage.evaluator.extract import About, write_extract
from linkage.evaluator.ledger import Ledger
from linkage.release.assemble import assemble
from linkage.release.deidentify import attach_index_ids
from linkage.release.gate import gate

TOWNS = [f"Town {n}" for n in range(30)]
TRACTS = [f"T{n:03d}" for n in range(200)]
BANDS = [*(f"{low}-{low + 4}" for low in range(0, 90, 5)), "90+"]
RACES = ["A", "B", "C", "D", "E"]


def manifest() -> Manifest:
    person = [
        {"name": "sex", "means": "sex", "values": ["f", "m"]},
        {
            "name": "age",
            "means": "age_band",
            "transform": "age_band",
            "reference": "2026-01-01",
        },
        {"name": "race", "means": "race_ethnicity", "values": RACES},
        {"name": "tract", "means": "tract", "values": TRACTS},
    ]
    event = [
        {"name": "month", "means": "month", "transform": "month"},
        {"name": "town", "means": "municipality", "values": TOWNS},
        {"name": "kind", "values": ["a", "b", "c", "d"]},
        {"name": "ended", "values": ["x", "y", "z"]},
    ]
    content = [
        {"name": "person", "kind": "person", "fields": person},
        {"name": "events", "kind": "event", "record_id": "rid", "fields": event},
    ]
    return Manifest.model_validate(
        {
            "linkage": "manifest/1",
            "project": "million",
            "title": "A million events",
            "purpose": "p",
            "legal_basis": "l",
            "expires": "2030-01-01",
            "partners": [
                {"name": name, "record_id": "rid", "content": content} for name in ("one", "two")
            ],
            "recipients": [{"name": "bureau", "role": "assembler"}],
            "fields": [{"name": "given", "type": "given_name"}],
            "match_keys": [{"name": "k", "fields": ["given"]}],
            "scheme": {"name": "saul-v1"},
            "disclosure": {
                "tables": [
                    {"name": "by_month", "of": "one_events", "by": ["month", "town", "kind"]}
                ]
            },
        }
    )


def measure(events: int) -> dict[str, Any]:
    random = np.random.default_rng(1)
    agreed, people = manifest(), events // 5
    study = random.integers(0, 256, (people, 16), dtype=np.uint8)
    tables: dict[tuple[str, str], pa.Table] = {}
    maps: dict[str, dict[bytes, bytes]] = {}
    months = [f"{year}-{month:02d}" for year in (2024, 2025) for month in range(1, 13)]
    for name in ("one", "two"):
        members = np.flatnonzero(random.random(people) < 0.7)
        index = random.integers(0, 256, (len(members), 16), dtype=np.uint8)
        maps[name] = {bytes(index[n]): bytes(study[who]) for n, who in enumerate(members)}
        persons = pa.table(
            {
                "sex": random.choice(["f", "m"], len(members)),
                "age": random.choice(BANDS, len(members)),
                "race": random.choice(RACES, len(members), p=[0.6, 0.2, 0.1, 0.07, 0.03]),
                "tract": random.choice(TRACTS, len(members)),
            }
        )
        rows = events // 2
        happened = pa.table(
            {
                "month": random.choice(months, rows),
                "town": random.choice(TOWNS, rows, p=_uneven(len(TOWNS))),
                "kind": random.choice(["a", "b", "c", "d"], rows),
                "ended": random.choice(["x", "y", "z"], rows),
            }
        )
        tables[name, "person"] = attach_index_ids(persons, index)
        tables[name, "events"] = attach_index_ids(
            happened, index[random.integers(0, len(members), rows)]
        )
    steps: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        last = time.perf_counter()

        def done(step: str) -> None:
            nonlocal last
            steps[step] = round(time.perf_counter() - last, 1)
            last = time.perf_counter()

        assembled = assemble(agreed, tables, maps, recipient="bureau")
        done("assemble")
        gated = gate(agreed, assembled)
        done("gate")
        ledger = Ledger(Path(place), "million")
        ledger.require_apart("r", "bureau", ledger.persons(gated.assembled), 11)
        done("ledger")
        about = About(
            recipient="bureau",
            counts=gated.counts,
            suppression=gated.log,
            coarser=gated.coarser,
            provenance={"release": "r"},
        )
        write_extract(Path(place) / "x", gated.assembled, manifest=agreed, quality={}, about=about)
        done("write")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "events": events,
        "people": people,
        "seconds": steps,
        "total": round(sum(steps.values()), 1),
        "peak_mib": round(peak),
        "cells": gated.log["counts"][0]["cells"],
        "suppressed": gated.log["counts"][0]["suppressed"],
    }


def _uneven(count: int) -> Any:
    weights = 0.8 ** np.arange(count)
    return weights / weights.sum()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    print(json.dumps(measure(parser.parse_args().events)))
