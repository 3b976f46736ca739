"""Later rounds: compare only what changed, and keep what was found before.

- A row is unchanged when its row handle, presence bits and encodings are those of the former
  upload. Pairs of two unchanged rows are taken over from the former run; changed and new rows are
  compared with every row of the other side.
- What the quota cut off in the former run is not found again, also where a withdrawn row would
  make room for it. A run from scratch finds it.
- Pairs that were compared field by field in the former run are not asked about again.

    former = Former(found, former_rows(old_left, new_left), former_rows(old_right, new_right))
    found = update_candidates(left, right, scheme, former, quota=4, engine=engine)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from linkage.agreement.manifest import Clk, Scheme
from linkage.encodings import EncodingMatrix
from linkage.matching import kernel
from linkage.matching.candidates import (
    LOOK_LOSS,
    Candidates,
    best_of_persons,
    find_candidates,
    within_quota,
    z_cut_for,
)
from linkage.matching.engine import Engine
from linkage.matching.measure import draw_decoys, fair_coin, measure, null_of, rescore, unpack
from linkage.matching.model import ScoredPairs
from linkage.matching.sources import Pairs, Rows, Source

_CHUNK = 65_536


@dataclass(frozen=True)
class Former:
    """A former run between the same two partners.

    Attributes:
        found: its candidates.
        left, right: (former rows,) int32 present row of each former row, -1 where it was withdrawn
            or changed; see `former_rows`.
    """

    found: Candidates
    left: Rows
    right: Rows


@dataclass(frozen=True)
class Known:
    """Candidates that need not be asked about: they were compared field by field before.

    Attributes:
        index: (n,) their places among the candidates, ascending.
        levels: (n, dimensions) their comparison vectors.
    """

    index: npt.NDArray[np.int64]
    levels: npt.NDArray[np.uint8]


def known_levels(
    left: Source,
    right: Source,
    pairs: Pairs,
    former: Former,
    scored: ScoredPairs,
    matrices: tuple[EncodingMatrix, EncodingMatrix],
) -> Known:
    """What a former run's answers say of present candidates.

    Only of rows that are unchanged and were, and are, the only row of their person: of others the
    former run may have compared another row.

    Args:
        scored: the former run's pairs with their levels, compared under pair keys.
        matrices: the former uploads.
    """
    one, other = former.left[scored.left], former.right[scored.right]
    then = [_lone(matrix.persons()) for matrix in matrices]
    usable = then[0][scored.left] & then[1][scored.right] & (one >= 0) & (other >= 0)
    usable[usable] &= _lone(left.persons)[one[usable]] & _lone(right.persons)[other[usable]]
    places = np.flatnonzero(usable)
    triangle = left.partner == right.partner
    before = _packed(one[places], other[places], triangle)
    order = np.argsort(before)
    asked = _packed(pairs.left, pairs.right, triangle)
    at = np.minimum(np.searchsorted(before[order], asked), max(len(order) - 1, 0))
    there = before[order][at] == asked if len(order) else np.zeros(len(asked), np.bool_)
    return Known(np.flatnonzero(there), scored.levels[places[order[at[there]]]])


def _lone(persons: Rows) -> npt.NDArray[np.bool_]:
    """Which rows are the only ones of their person."""
    found: npt.NDArray[np.bool_] = np.bincount(persons, minlength=len(persons))[persons] == 1
    return found


def former_rows(former: EncodingMatrix, now: EncodingMatrix) -> Rows:
    """Where each row of a former upload stands now, -1 where it is gone or encoded otherwise.

    Of a record's several rows the first is held against the first, and so on. Reads both matrices
    once; memory is O(rows).
    """
    place = {key: row for row, key in enumerate(_keys(now))}
    found = np.array([place.get(key, -1) for key in _keys(former)], np.int32)
    for start in range(0, len(found), _CHUNK):
        part = found[start : start + _CHUNK]
        there = np.flatnonzero(part >= 0)
        old, new = there + start, part[there]
        same = (former.presence[:, old] == now.presence[:, new]).all(axis=0)
        for key in range(len(former.words)):
            same &= (former.words[key][old] == now.words[key][new]).all(axis=1)
        part[there[~same]] = -1
    return found


def _keys(matrix: EncodingMatrix) -> list[tuple[bytes, int]]:
    """Each row's handle, and which of the handle's rows it is."""
    first = matrix.first_rows()
    count = np.diff(first, append=matrix.layout.rows)
    variant = np.arange(matrix.layout.rows) - np.repeat(first, count)
    raw = matrix.handles.tobytes()
    return [(raw[16 * row : 16 * row + 16], int(v)) for row, v in enumerate(variant)]


def update_candidates(
    left: Source,
    right: Source,
    scheme: Scheme,
    former: Former,
    *,
    quota: int,
    look_loss: float = LOOK_LOSS,
    engine: Engine,
    progress: Callable[[float], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Candidates:
    """The most promising pairs of two uploads, where most of both was compared before.

    Arguments, result and errors are those of `find_candidates`; `compared`, `looked` and
    `survived` count what was compared in this round.
    """
    triangle = left.partner == right.partner
    dice = isinstance(scheme, Clk)
    decoys = draw_decoys(left, right, dice=dice, triangle=triangle)
    keys = len(left.matrix.layout.match_keys)
    null = null_of(decoys, scheme.bits) if dice else fair_coin(keys, scheme.bits)

    packed = [_taken_over(former)]
    parts: list[Candidates] = []
    for number, (one, other, rows_one, rows_other) in enumerate(_changed(left, right, former)):
        found = find_candidates(
            one,
            other,
            scheme,
            quota=quota,
            look_loss=look_loss,
            engine=engine,
            progress=lambda share, done=number: progress((done + share) / 2),  # type: ignore[misc]
            cancelled=cancelled,
        )
        parts.append(found)
        packed.append(_packed(rows_one[found.pairs.left], rows_other[found.pairs.right], triangle))
    rows_left, rows_right = unpack(kernel.distinct(np.concatenate(packed)))
    pairs = measure(left, right, rows_left, rows_right, dice=dice, null=null)
    pairs = best_of_persons(pairs, left.persons, right.persons, triangle)
    kept = within_quota(pairs, quota, left.rows, right.rows, triangle)
    return replace(
        former.found,
        pairs=pairs.take(kept),
        decoys=rescore(decoys, null),
        null=null,
        quota=quota,
        compared=sum(part.compared for part in parts),
        looked=sum(part.looked for part in parts),
        survived=sum(part.survived for part in parts),
        considered=len(pairs),
        z_cut=z_cut_for(max(left.rows, right.rows)),
        look_loss=max([former.found.look_loss, *(part.look_loss for part in parts)]),
    )


def _taken_over(former: Former) -> npt.NDArray[np.int64]:
    """The former candidates of two unchanged rows."""
    pairs = former.found.pairs
    one, other = former.left[pairs.left], former.right[pairs.right]
    both = (one >= 0) & (other >= 0)
    return _packed(one[both], other[both], triangle=False)


def _packed(left: Rows, right: Rows, triangle: bool) -> npt.NDArray[np.int64]:
    one, other = left.astype(np.int64), right.astype(np.int64)
    if triangle:
        apart = one != other
        one, other = np.minimum(one, other)[apart], np.maximum(one, other)[apart]
    return one << 32 | other


def _changed(
    left: Source, right: Source, former: Former
) -> list[tuple[Source, Source, Rows, Rows]]:
    """What is to be compared: two sources, and which rows of the uploads theirs are."""
    all_left, all_right = (np.arange(side.rows, dtype=np.int32) for side in (left, right))
    new_left: Rows = np.setdiff1d(all_left, former.left)
    new_right: Rows = np.setdiff1d(all_right, former.right)
    todo: list[tuple[Source, Source, Rows, Rows]] = []
    if len(new_left):
        todo.append((_part(left, new_left), right, new_left, all_right))
    if len(new_right) and left.partner != right.partner:
        todo.append((left, _part(right, new_right), all_left, new_right))
    return todo


def _part(source: Source, rows: Rows) -> Source:
    """Some rows of an upload, as another partner's: compared with the rest without a diagonal."""
    matrix = source.matrix
    return Source(
        f"{source.partner}, changed",
        EncodingMatrix(
            replace(matrix.layout, rows=len(rows)),
            matrix.handles[rows],
            matrix.groups[rows],
            matrix.strata[rows],
            np.ascontiguousarray(matrix.presence[:, rows]),
            np.ascontiguousarray(matrix.words[:, rows]),
        ),
        source.unique,
    )
