"""Random 128-bit ids: row handles, index ids, study ids, linkage ids.

- Drawn from the operating system, never derived from an identifier or an encoding: there is
  nothing in an id to turn back.
- The ids of one call are distinct.

    ids = draw_ids(1_000)
    to_hex(ids)[0]                  # '5f0c...', 32 lower-case hex digits
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from linkage.errors import InvalidRequestError

ID_BYTES = 16

Ids = npt.NDArray[np.uint8]

_HEX = re.compile(r"[0-9a-f]{32}")


def draw_ids(count: int, *, random: Callable[[int], bytes] = os.urandom) -> Ids:
    """`count` distinct random ids, as an array of (count, 16) bytes.

    Args:
        random: gives that many random bytes; another one is for tests only.
    """
    ids = _draw(count, random)
    while True:
        repeated = _repeated(ids)
        if not len(repeated):
            return ids
        ids[repeated] = _draw(len(repeated), random)


def to_hex(ids: Ids) -> list[str]:
    """Each id as 32 lower-case hex digits."""
    digits = np.ascontiguousarray(ids).tobytes().hex()
    return [digits[start : start + 32] for start in range(0, len(digits), 32)]


def from_hex(texts: Sequence[str]) -> Ids:
    """The ids that `to_hex` wrote.

    Raises:
        InvalidRequestError: a text is not 32 lower-case hex digits; names its place.
    """
    for place, text in enumerate(texts):
        if not _HEX.fullmatch(text):
            raise InvalidRequestError(f"id number {place + 1} is not 32 lower-case hex digits")
    raw = np.frombuffer(bytes.fromhex("".join(texts)), np.uint8)
    return raw.reshape(len(texts), ID_BYTES).copy()


def _draw(count: int, random: Callable[[int], bytes]) -> Ids:
    return np.frombuffer(random(count * ID_BYTES), np.uint8).reshape(count, ID_BYTES).copy()


def _repeated(ids: Ids) -> npt.NDArray[np.intp]:
    """Rows whose id an earlier row already has."""
    words = ids.view(np.uint64)
    order = np.lexsort((words[:, 1], words[:, 0]))
    ordered = words[order]
    again: npt.NDArray[np.intp] = order[1:][(ordered[1:] == ordered[:-1]).all(axis=1)]
    return again
