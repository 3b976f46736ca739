"""What this partner's encodings must be like before any of them leaves: the hub asks the same.

It is said here first, with words that say what to do, before anything has been sent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from linkage.agent.outbox import Outbox
from linkage.agreement import Manifest
from linkage.bounds import require_bounds, require_change
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.errors import LimitError
from linkage.trust.headers import EncodingsHeader


def require_fit(
    manifest: Manifest,
    partner: str,
    payload: Path,
    layout: EncodingLayout,
    last: Outbox | None,
) -> None:
    """Refuse what the manifest's bounds do not cover.

    Args:
        last: what was sent in the round before, if there was one.

    Raises:
        AgreementError: too few people, a flood of one person's records, or too small a change.
        LimitError: more rows than agreed.
    """
    if layout.rows > manifest.max_rows:
        raise LimitError(
            f"the file has {layout.rows:,} rows with its aliases; the manifest allows"
            f" {manifest.max_rows:,}"
        )
    matrix = _matrix(payload, layout)
    require_bounds(matrix, manifest, partner)
    header = None if last is None else last.header
    if last is not None and isinstance(header, EncodingsHeader) and last.payload.exists():
        require_change(_matrix(last.payload, header.layout), matrix, manifest, partner)


def _matrix(path: Path, layout: EncodingLayout) -> EncodingMatrix:
    return EncodingMatrix.from_buffer(np.memmap(path, np.uint8, "r"), layout)
