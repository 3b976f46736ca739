"""Dates that leave as days from a person's first event: intervals hold, and dates do not show.

- The hub draws a day shift for every row of every partner, uniform over all 32-bit numbers, and
  another for every person. A partner gets its rows' shifts; the assembler gets, per row, the
  person's less the row's. No two shifts are equal but by chance, so those of two partners join
  nothing, and those of one partner do not tell which of its own rows are one person.
- Sums are modulo 2^32, so a shift hides a date perfectly, as a one-time pad does: whoever knows
  only one of the two numbers knows nothing of it.
- What the assembler gets by adding its number is the date under the person's shift, which nobody
  else holds: differences between a person's dates are right across partners, and the dates hidden.

    hidden = hide(days, shifts)                        # the agent
    restored = hide(hidden, corrections)               # the assembler
    relative_days([(people, restored)])                # 0 is a person's first event
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from linkage.errors import AgreementError, InvalidRequestError

SHIFT = np.dtype("<u4")
LONGEST = 200 * 366
"""More days between two events of a person are no life; under a wrong shift there nearly always
are more."""

Shifts = npt.NDArray[np.uint32]
Days = npt.NDArray[np.int32]


def draw_shifts(count: int, *, random: Callable[[int], bytes] = os.urandom) -> Shifts:
    """`count` day shifts.

    Args:
        random: gives that many random bytes; another one is for tests only.
    """
    return np.frombuffer(random(count * SHIFT.itemsize), SHIFT).astype(np.uint32)


def corrections(person: Shifts, row: Shifts) -> Shifts:
    """What the assembler adds to a row's hidden days, for the person's shift and the row's."""
    return person - row


def hide(days: Days, shifts: Shifts) -> Days:
    """Days under a shift, modulo 2^32."""
    return (days.view(np.uint32) + shifts).view(np.int32)


def read_shifts(raw: bytes, rows: int) -> Shifts:
    """The shifts that came over the wire.

    Raises:
        AgreementError: not one for each row, or not such as chance gives: most dates would then
            leave under a shift that others can guess.
    """
    if len(raw) != rows * SHIFT.itemsize:
        raise AgreementError(
            "the hub did not send a day shift for every row",
            remedy="Ask the steward to propose the release anew",
        )
    shifts = np.frombuffer(raw, SHIFT).astype(np.uint32)
    if 100 * (rows - len(np.unique(shifts))) > max(rows, 100):
        raise AgreementError(
            "the hub's day shifts are not random: many rows have the same one",
            remedy="Nothing was sent. Tell the other partners and the steward",
        )
    return shifts


def relative_days(
    columns: Sequence[tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_], Days]],
    people: int,
    *,
    names: Sequence[str],
) -> list[Days]:
    """Days from each person's first one, over all columns.

    Args:
        columns: per column the number of each row's person, whether the row has a day, and the
            day under the person's shift.
        people: how many persons there are.
        names: how a message names each column.

    Raises:
        InvalidRequestError: days of one person are further apart than a life, so some are not
            under the agreed shift.
    """
    anchor = np.zeros(people, np.uint32)
    for person, known, days in columns:
        anchor[person[known]] = days[known].view(np.uint32)
    # Signed, since an anchor is any of a person's days and not the first.
    steps = [(days.view(np.uint32) - anchor[person]).view(np.int32) for person, _, days in columns]
    first = np.zeros(people, np.int32)
    for (person, known, _), step in zip(columns, steps, strict=True):
        np.minimum.at(first, person[known], step[known])
    found: list[Days] = []
    for name, (person, known, _), step in zip(names, columns, steps, strict=True):
        days = step.astype(np.int64) - first[person]
        if bool(((days > LONGEST) & known).any()):
            raise InvalidRequestError(
                f"{name}: days of one person lie more than {LONGEST // 366} years apart, so those"
                " of this table or of another are not under the shift that the hub drew"
            )
        found.append(np.where(known, days, 0).astype(np.int32))
    return found
