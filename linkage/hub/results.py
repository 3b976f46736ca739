"""What runs and releases leave behind, as blobs: arrays by name, and the quality report.

    uploads/<upload>                           a finished upload
    runs/<run>/work/                           until the run ends:
        <left>.<right>.known.npz               candidates that a former run compared
        <left>.<right>.entries.npz             what the comparison round's entries are
        <partner>.<other>.requests             the lists that agents get
    runs/<run>/<left>.<right>.candidates.npz   until a later run of the project has succeeded
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
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.agreement.canonical import canonical
from linkage.answers import Answers
from linkage.encodings import EncodingMatrix
from linkage.errors import InternalError
from linkage.matching import Candidates, Compared, Known, Pairs, ScoredPairs
from linkage.matching.answered import Answered
from linkage.matching.requests import Asked, Entries, Plan
from linkage.matching.sources import Null
from linkage.store.blobs import Blobs
from linkage.store.sql import Row
from linkage.trust.headers import AnswersHeader, EncodingsHeader, parse_header

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

    def has_candidates(self, run: str, pair: PartnerPair) -> bool:
        return self._blobs.exists(_key(run, pair, "candidates"))

    def forget_candidates(self, run: str, pair: PartnerPair) -> None:
        self._blobs.delete(_key(run, pair, "candidates"))

    def save_known(self, run: str, pair: PartnerPair, known: Known) -> None:
        """Keep what a former run says of candidates that are not asked about."""
        self.save(_work(run, pair, "known.npz"), vars(known))

    def known(self, run: str, pair: PartnerPair) -> Known:
        return Known(**self.load(_work(run, pair, "known.npz")))

    def save_plan(self, run: str, pair: PartnerPair, plan: Plan) -> None:
        """Keep a comparison's lists, and what their entries are."""
        sides = (pair, pair[::-1])
        for side, requests in zip(sides, plan.lists, strict=False):
            self._blobs.put(_work(run, side, "requests"), requests.to_bytes())
        entries = plan.entries
        arrays: dict[str, Array] = {"kept": entries.kept}
        for name, asked in (("candidates", entries.candidates), ("decoys", entries.decoys)):
            arrays |= {f"{name}.{part}": array for part, array in vars(asked).items()}
        self.save(_work(run, pair, "entries.npz"), arrays)

    def entries(self, run: str, pair: PartnerPair) -> Entries:
        found = self.load(_work(run, pair, "entries.npz"))

        def asked(name: str) -> Asked:
            return Asked(**{field.name: found[f"{name}.{field.name}"] for field in fields(Asked)})

        return Entries(asked("candidates"), found["kept"], asked("decoys"))

    def requests(self, run: str, partner: str, other: str, offset: int = 0) -> Iterator[bytes]:
        """A partner's list in chunks of bytes, from an offset on."""
        return self._blobs.stream(_work(run, (partner, other), "requests"), offset)

    def answers(self, upload: Row) -> Answered:
        """Reads answers by place in the list; from a memory map, whatever their size."""
        header = parse_header(upload["header"])
        if not isinstance(header, AnswersHeader):
            raise InternalError("the upload holds no answers")
        data = np.memmap(self._blobs.local(blob_key(upload["id"])), np.uint8, "r")
        rows = data.reshape(header.entries, -1)
        return lambda places: Answers.from_bytes(rows[places].tobytes(), fields=header.fields)

    def clear(self, run: str, *, succeeded: bool) -> None:
        """Delete what an ended run no longer needs; everything, where it has no results."""
        self._blobs.delete_all(f"runs/{run}/work" if succeeded else f"runs/{run}")

    def save_compared(self, run: str, pair: PartnerPair, compared: Compared) -> None:
        """Keep what was compared field by field, for runs on the same uploads."""
        self.save(_key(run, pair, "compared"), vars(compared))

    def compared(self, run: str, pair: PartnerPair) -> Compared | None:
        """None where the run's pairs were compared by match keys alone."""
        key = _key(run, pair, "compared")
        return Compared(**self.load(key)) if self._blobs.exists(key) else None

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


def blob_key(upload: str) -> str:
    """Where a finished upload's bytes are."""
    return f"uploads/{upload}"


def _work(run: str, pair: PartnerPair, what: str) -> str:
    return f"runs/{run}/work/{pair[0]}.{pair[1]}.{what}"


def _key(run: str, pair: PartnerPair, what: str) -> str:
    return f"runs/{run}/{pair[0]}.{pair[1]}.{what}.npz"
