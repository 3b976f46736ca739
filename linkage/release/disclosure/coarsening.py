"""What would have to be coarser for a table to pass: tried one by one, not guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.release.disclosure.tables import Dimension, Table

Numbers = npt.NDArray[Any]

MAX_TRIED = 40
MAX_NAMED = 5


@dataclass(frozen=True)
class Coarsening:
    """A coarser table that passes.

    Attributes:
        how: what was done, for people.
        suppressed: cells that would be suppressed, of `cells` that are not zero.
    """

    how: str
    table: Table
    cells: int
    suppressed: int


def passing(table: Table, judge: Callable[[Table], tuple[int, int] | None]) -> list[Coarsening]:
    """Coarser tables that pass, by one step or, where none does, by two; the best first.

    Args:
        judge: cells that are not zero and cells suppressed, or None where it does not pass.
    """
    waiting = [("", table)]
    tried = 0
    for _ in range(2):
        found, following = [], []
        for before, start in waiting:
            for how, coarser in steps(start):
                if tried >= MAX_TRIED:
                    break
                tried += 1
                text = f"{before}, and {how}" if before else how
                following.append((text, coarser))
                judged = judge(coarser)
                if judged is not None:
                    found.append(Coarsening(text, coarser, *judged))
        if found:
            return sorted(found, key=lambda one: (one.suppressed - one.cells, one.how))
        waiting = following
    return []


def steps(table: Table) -> Iterator[tuple[str, Table]]:
    """Every table that is coarser by one step, with what was done."""
    for axis, dimension in enumerate(table.dimensions):
        if any(code in dimension.parents for code in dimension.codes):
            above = list(dict.fromkeys(dimension.parents.get(c, c) for c in dimension.codes))
            named = ", ".join(above[:MAX_NAMED]) + (", ..." if len(above) > MAX_NAMED else "")
            yield f"{dimension.name} one level up ({named})", _levelled(table, axis, above)
        elif len(dimension.codes) > 2 and not dimension.overlapping:
            yield from _merged(table, axis)
        if len(table.dimensions) > 1:
            yield f"without {dimension.name}", _without(table, axis)


def _levelled(table: Table, axis: int, codes: list[str]) -> Table:
    dimension = table.dimensions[axis]
    kept = {
        child: parent for child, parent in dimension.parents.items() if child not in dimension.codes
    }
    coarser = Dimension(dimension.name, tuple(codes), kept, dimension.overlapping)
    nodes = coarser.nodes if dimension.overlapping else coarser.codes
    at = [dimension.nodes.index(node) for node in nodes]
    everywhere = [dimension.nodes.index(node) for node in coarser.nodes]
    return replace(
        table,
        dimensions=_put(table, axis, coarser),
        values=_along(table, axis).take(at, axis=axis),
        people=_taken(table.people, everywhere, axis),
        sets=_taken(table.sets, everywhere, axis),
    )


def _without(table: Table, axis: int) -> Table:
    dimension, last = table.dimensions[axis], len(table.dimensions[axis].nodes) - 1
    margins = table.margins
    if margins is not None:
        margins = frozenset(names for names in margins if dimension.name not in names)
    return replace(
        table,
        dimensions=tuple(d for a, d in enumerate(table.dimensions) if a != axis),
        values=np.asarray(_along(table, axis).take(last, axis=axis)),
        people=_taken(table.people, last, axis),
        sets=_taken(table.sets, last, axis),
        margins=margins,
    )


def _merged(table: Table, axis: int) -> Iterator[tuple[str, Table]]:
    """The smallest categories as one, fewest first."""
    dimension = table.dimensions[axis]
    others = tuple(a for a in range(table.values.ndim) if a != axis)
    # Overlapping axes hold margins too; sizes are for the order alone.
    sizes = table.values.sum(axis=others)
    order = np.argsort(sizes, kind="stable")
    for count in sorted({2, 3, max(2, len(order) // 2)}):
        if count >= len(order):
            continue
        together = sorted(int(place) for place in order[:count])
        alone = [place for place in range(len(order)) if place not in together]
        names = [dimension.codes[place] for place in together]
        listed = ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
        # Named by its parts: it is not a cell of another table.
        merged = Dimension(
            dimension.name, (*(dimension.codes[p] for p in alone), " or ".join(names))
        )
        rest = list(range(len(dimension.codes), len(dimension.nodes)))
        yield (
            f"{dimension.name}: {listed} as one category",
            replace(
                table,
                dimensions=_put(table, axis, merged),
                values=np.concatenate(
                    [
                        table.values.take(alone, axis=axis),
                        table.values.take(together, axis=axis).sum(axis=axis, keepdims=True),
                    ],
                    axis=axis,
                ),
                people=_joined(table.people, alone, together, rest, axis, np.max),
                sets=_joined(table.sets, alone, together, rest, axis, np.sum),
            ),
        )


def _taken(cells: Numbers | None, places: Any, axis: int) -> Numbers | None:
    return None if cells is None else np.asarray(cells.take(places, axis=axis))


def _joined(
    cells: Numbers | None,
    alone: list[int],
    together: list[int],
    rest: list[int],
    axis: int,
    join: Callable[..., Numbers],
) -> Numbers | None:
    if cells is None:
        return None
    one = join(cells.take(together, axis=axis), axis=axis, keepdims=True)
    parts = [cells.take(alone, axis=axis), one, cells.take(rest, axis=axis)]
    return np.concatenate(parts, axis=axis)


def _along(table: Table, axis: int) -> Numbers:
    """The table's counts with every node along one axis, and what it holds along the others."""
    dimension, values = table.dimensions[axis], table.values
    if dimension.overlapping:
        return values
    below = dimension.below.astype(np.int64)
    return np.moveaxis(np.tensordot(below, values, axes=(1, axis)), 0, axis)


def _put(table: Table, axis: int, dimension: Dimension) -> tuple[Dimension, ...]:
    return tuple(dimension if a == axis else d for a, d in enumerate(table.dimensions))
