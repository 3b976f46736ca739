"""What a rehearsal finds out when all is done: the hub's links against the truth column.

It brings the matcher along, and so is imported late: processes are running by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from linkage.agent.rowmap import places_by_row
from linkage.agent.source import SourceFile
from linkage.agreement import Manifest
from linkage.cli.scoring import score_links
from linkage.encodings import EncodingMatrix
from linkage.matching import ScoredPairs, Source, pairs_to_compare
from linkage.trust.headers import EncodingsHeader, parse_header


def assess(
    manifest: Manifest,
    outboxes: Mapping[str, Path],
    files: Mapping[str, Path],
    links: Path,
    truth: str,
    recommended: float,
) -> dict[str, Any]:
    """True figures of a rehearsal; see `scoring.score_links`.

    Args:
        outboxes: per partner, the directory with its encodings and row map.
        files: per partner, its identifier file.
        links: the hub's scored pairs, Parquet.
        truth: column of the identifier files that says who is who.
    """
    sources = [
        _source(name, outboxes[name], manifest.partner(name).unique)
        for name in manifest.partner_names
    ]
    people = {s.partner: _truth_of(outboxes[s.partner], files[s.partner], truth) for s in sources}
    table = pq.read_table(links)
    scored = {
        (left.partner, right.partner): _scored(table, left, right)
        for left, right in pairs_to_compare(sources)
    }
    return score_links(sources, scored, people, recommended)


def _source(partner: str, outbox: Path, unique: bool) -> Source:
    header = parse_header((outbox / "header.json").read_bytes())
    assert isinstance(header, EncodingsHeader)  # noqa: S101 - narrowing for the type checker
    data = np.memmap(outbox / "payload", np.uint8, "r")
    return Source(partner, EncodingMatrix.from_buffer(data, header.layout), unique)


def _truth_of(outbox: Path, file: Path, column: str) -> npt.NDArray[np.object_]:
    """The truth value of each row of an upload."""
    values: list[str | None] = []
    for batch in SourceFile(file).batches([column]):
        values += batch[column]
    rows, places = places_by_row(outbox)
    found = np.empty(len(places), dtype=object)
    found[places] = np.array(values, dtype=object)[rows]
    return found


def _scored(table: pa.Table, left: Source, right: Source) -> ScoredPairs:
    """One partner pair's scored pairs, by row number."""
    mask = np.asarray(table["left_partner"]) == left.partner
    mask &= np.asarray(table["right_partner"]) == right.partner
    rows = table.filter(pa.array(mask))
    probability = rows["match_probability"].to_numpy()
    odds = probability / np.maximum(1 - probability, 1e-12)
    return ScoredPairs(
        _places(left.matrix.handles, _handles(rows["left_handle"])).astype(np.int32),
        _places(right.matrix.handles, _handles(rows["right_handle"])).astype(np.int32),
        np.log2(np.maximum(odds, 1e-30)).astype(np.float32),
        probability,
        float(probability.sum()),
        {},
    )


def _handles(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(-1, 16)


def _places(
    all_handles: npt.NDArray[np.uint8], handles: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """Where each of `handles` stands among all handles."""
    place = {handle.tobytes(): row for row, handle in enumerate(all_handles)}
    return np.array([place[handle.tobytes()] for handle in handles], dtype=np.int64)
