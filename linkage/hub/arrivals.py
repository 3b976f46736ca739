"""Uploads that have arrived, looked at before they are taken over.

Refused is what no encoder writes, a probe, a flood, a small step from the last round, and what came
in clear.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from linkage.agreement import Manifest
from linkage.answers import Answers, answer_bytes
from linkage.bounds import require_bounds, require_change
from linkage.encodings import EncodingMatrix
from linkage.errors import InvalidRequestError
from linkage.hub.results import blob_key
from linkage.release.parcels import check_sealed
from linkage.store.blobs import Blobs
from linkage.store.sql import Row
from linkage.trust.headers import EncodingsHeader, parse_header

CHECKED_ANSWERS = 1 << 14


def require_fit(
    path: Path, header: EncodingsHeader, manifest: Manifest, former: list[Row], blobs: Blobs
) -> None:
    """Refuse encodings that no encoder writes, a probe, a flood, and a small step from the last.

    Args:
        former: the uploads of the round before, whole or not.

    Raises:
        InvalidRequestError: malformed.
        AgreementError: the manifest's bounds do not cover it.
    """
    matrix = _matrix(path, header)
    matrix.validate()
    require_bounds(matrix, manifest, header.partner)
    for row in former:
        before = parse_header(row["header"])
        if row["finished_at"] is not None and isinstance(before, EncodingsHeader):
            last = _matrix(blobs.local(blob_key(row["id"])), before)
            require_change(last, matrix, manifest, header.partner)


def require_answers(path: Path, fields: int) -> None:
    """Raises InvalidRequestError for what is no list of answers."""
    with path.open("rb") as file:
        while data := file.read(CHECKED_ANSWERS * answer_bytes(fields)):
            Answers.from_bytes(data, fields=fields)


def require_sealed(path: Path) -> None:
    """Raises InvalidRequestError, and keeps nothing, where content came in clear."""
    try:
        with path.open("rb") as file:
            check_sealed(file)
    except InvalidRequestError:
        path.unlink()
        raise


def _matrix(path: Path, header: EncodingsHeader) -> EncodingMatrix:
    return EncodingMatrix.from_buffer(np.memmap(path, np.uint8, "r"), header.layout)
