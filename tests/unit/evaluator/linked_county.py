"""The made-up county as an extract of a linkage with known error rates, without the protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from linkage.agreement import Manifest, parse_manifest
from linkage.evaluator.extract import write_extract
from linkage.release.assemble import assemble
from linkage.release.deidentify import attach_index_ids, deidentify_table
from linkage.synthetic import CountyFiles


def linked_county(
    files: CountyFiles, directory: Path, *, recall: float, precision: float, seed: int
) -> Path:
    """Write the extract; its quality report tells the true error rates."""
    rng = np.random.default_rng(seed)
    manifest = parse_manifest(files.manifest.read_bytes())
    records = {
        name: pd.read_csv(path, dtype=str, keep_default_na=False)
        for name, path in files.identifiers.items()
    }
    persons = _persons(records, rng, recall, precision)
    study = {n: _ids(f"s{p}" for p in persons[n]) for n in records}
    index = {n: rng.integers(0, 256, (len(t), 16), dtype=np.uint8) for n, t in records.items()}
    maps = {n: {bytes(i): s for i, s in zip(index[n], study[n], strict=True)} for n in records}
    tables = _tables(manifest, files, records, index)
    # Days come as they are: the shifts are nought.
    shifts = {n: dict.fromkeys(ids, 0) for n, ids in maps.items()}
    assembled = assemble(manifest, tables, maps, shifts)
    at = {"threshold": 0.5, "precision": precision, "recall": recall, "links": 1000, "f1": 0.9}
    pairs = {
        f"{a}|{b}": {"at_recommended": at, "candidate_recall": 1.0}
        for a, b in (("sheriff", "health"), ("sheriff", "social"), ("health", "social"))
    }
    quality = {"recommended": at, "overall": {"thresholds": []}, "pairs": pairs}
    write_extract(directory, assembled, manifest=manifest, quality=quality)
    return directory


def _persons(
    records: dict[str, pd.DataFrame], rng: np.random.Generator, recall: float, precision: float
) -> dict[str, list[str]]:
    """Who each record is taken to be; the sheriff's records are right among themselves."""
    found = {"sheriff": records["sheriff"]["truth"].tolist()}
    booked = np.unique(found["sheriff"])
    for name in ("health", "social"):
        truth = records[name]["truth"].to_numpy(object)
        here = np.isin(truth, booked) & (rng.random(len(truth)) < recall)
        named = np.where(here, truth, [f"{name}-{t}" for t in truth]).astype(object)
        wrong = round(here.sum() * (1 - precision) / precision)
        free = rng.permutation(np.flatnonzero(~here))[:wrong]
        named[free] = rng.permutation(np.setdiff1d(booked, truth[here]))[:wrong]
        found[name] = named.tolist()
    return found


def _ids(names: Any) -> list[bytes]:
    """Sixteen bytes for each name."""
    return [name.encode().rjust(16, b"\0")[-16:] for name in names]


def _tables(
    manifest: Manifest,
    files: CountyFiles,
    records: dict[str, pd.DataFrame],
    index: dict[str, np.ndarray],
) -> dict[tuple[str, str], pa.Table]:
    tables = {}
    for partner in manifest.partners:
        own = records[partner.name]
        place = pd.Series(range(len(own)), index=own[str(partner.record_id)])
        for content in partner.content:
            path = files.content[partner.name].get(content.name)
            rows = own if path is None else pd.read_csv(path, dtype=str, keep_default_na=False)
            clean = deidentify_table(content, rows, file="rows", missing=partner.missing)
            if content.is_personal:
                key = content.record_id or str(partner.record_id)
                ids = index[partner.name][place[rows[key]].to_numpy()]
                clean = attach_index_ids(clean, ids, np.zeros(len(ids), np.uint32))
            tables[partner.name, content.name] = clean
    return tables
