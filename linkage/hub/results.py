"""What runs and releases leave behind, as blobs: arrays by name, and the quality report.

    runs/<run>/<left>.<right>.candidates.npz   until the run ends
    runs/<run>/<left>.<right>.scored.npz
    runs/<run>/report.json
    releases/<release>/index/<partner>.npz     row handle -> index id
    releases/<release>/study/<partner>.npz     index id -> study id, until acknowledged
    releases/<release>/linkage/<partner>.npz   row handle -> linkage id

Partner names hold no dot, so names and suffixes cannot be confused.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.agreement.canonical import canonical
from linkage.encodings import EncodingMatrix
from linkage.errors import InternalError
from linkage.hub.uploads import blob_key
from linkage.matching import Candidates, Pairs, ScoredPairs
from linkage.matching.sources import Null
from linkage.store.blobs import Blobs
from linkage.store.sql import Row
from linkage.trust.headers import EncodingsHeader, parse_header

Array = npt.NDArray[Any]
PartnerPair = tuple[str, str]

_PLAIN = "plain"


class Results:
    """Reads and writes results."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def matrix(self, upload: Row) -> EncodingMatrix:
        """A finished upload's encodings, memory-mapped."""
        header = parse_header(upload["header"])
        if not isinstance(header, EncodingsHeader):
            raise InternalError("the upload holds no encodings")
        data = np.memmap(self._blobs.local(blob_key(upload["id"])), np.uint8, "r")
        return EncodingMatrix.from_buffer(data, header.layout)

    def save_candidates(self, run: str, pair: PartnerPair, found: Candidates) -> None:
        arrays: dict[str, Array] = {}
        plain: dict[str, Any] = {}
        for field in fields(found):
            value = getattr(found, field.name)
            if isinstance(value, Pairs | Null):
                arrays |= {f"{field.name}.{name}": array for name, array in vars(value).items()}
            else:
                plain[field.name] = value
        self.save(_key(run, pair, "candidates"), arrays, plain)

    def candidates(self, run: str, pair: PartnerPair) -> Candidates:
        arrays, plain = self._load(_key(run, pair, "candidates"))
        parts: dict[str, dict[str, Array]] = {}
        for name, array in arrays.items():
            owner, _, part = name.partition(".")
            parts.setdefault(owner, {})[part] = array
        return Candidates(
            pairs=Pairs(**parts["pairs"]),
            decoys=Pairs(**parts["decoys"]),
            null=Null(**parts["null"]),
            **plain,
        )

    def forget_candidates(self, run: str, pair: PartnerPair) -> None:
        self._blobs.delete(_key(run, pair, "candidates"))

    def save_scored(self, run: str, pair: PartnerPair, scored: ScoredPairs) -> None:
        values = asdict(scored)
        arrays = {name: v for name, v in values.items() if isinstance(v, np.ndarray)}
        plain = {name: v for name, v in values.items() if name not in arrays}
        self.save(_key(run, pair, "scored"), arrays, plain)

    def scored(self, run: str, pair: PartnerPair) -> ScoredPairs:
        arrays, plain = self._load(_key(run, pair, "scored"))
        values: dict[str, Any] = {**arrays, **plain}
        return ScoredPairs(**values)

    def save_report(self, run: str, report: Mapping[str, object]) -> None:
        self._blobs.put(f"runs/{run}/report.json", canonical(report))

    def report(self, run: str) -> bytes:
        return self._blobs.get(f"runs/{run}/report.json")

    def save(
        self, key: str, arrays: Mapping[str, Array], plain: Mapping[str, Any] | None = None
    ) -> None:
        """Store arrays by name, and plain values beside them."""
        note = np.frombuffer(json.dumps(plain or {}).encode(), np.uint8)
        buffer = io.BytesIO()
        named: dict[str, Any] = {**arrays, _PLAIN: note}
        np.savez(buffer, **named)
        self._blobs.put(key, buffer.getvalue())

    def load(self, key: str) -> dict[str, Array]:
        """The arrays stored under a key."""
        return self._load(key)[0]

    def delete(self, key: str) -> None:
        self._blobs.delete(key)

    def _load(self, key: str) -> tuple[dict[str, Array], dict[str, Any]]:
        with np.load(io.BytesIO(self._blobs.get(key)), allow_pickle=False) as stored:
            arrays = dict(stored)
        return arrays, json.loads(arrays.pop(_PLAIN).tobytes())


def _key(run: str, pair: PartnerPair, what: str) -> str:
    return f"runs/{run}/{pair[0]}.{pair[1]}.{what}.npz"
