"""Many agencies' inventories as one table, and how much of it a crosswalk covers.

- Every row of every inventory is accounted for, in each agency and in all:
  rows = mapped + unmapped + empty + rest, where `rest` are rows whose code has no number of its
  own, being rare or withheld.
- A mapped code without a number is counted among the codes, and its rows in `rest`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from linkage.errors import InputError, LimitError
from linkage.release.crosswalk.checking import resolved
from linkage.release.crosswalk.documents import MAX_AGENCIES, Crosswalk, Inventory


@dataclass(frozen=True)
class MergedCode:
    """One local code of one agency.

    Attributes:
        rows: None where the agency does not show it.
        standard: None where no crosswalk maps it.
    """

    agency: str
    local: str
    description: str
    rows: int | None
    standard: str | None


@dataclass(frozen=True)
class Covered:
    """What stands under one standard code.

    Attributes:
        rows: of the codes whose number is shown.
        hidden: how many of its local codes have none.
    """

    standard: str
    agencies: int
    codes: int
    rows: int
    hidden: int


@dataclass(frozen=True)
class Share:
    """How the rows of one agency, or of all, divide."""

    agency: str
    rows: int
    mapped: int
    unmapped: int
    empty: int
    rest: int

    @property
    def whole(self) -> bool:
        return self.rows == self.mapped + self.unmapped + self.empty + self.rest


@dataclass(frozen=True)
class Merged:
    """All inventories together.

    Attributes:
        codes: most used first, those without a number last.
        coverage: by standard code, most rows first.
        shares: by agency, in order of name.
        total: of all agencies.
        strangers: mapped codes that no inventory names, (agency, local).
    """

    codes: tuple[MergedCode, ...]
    coverage: tuple[Covered, ...]
    shares: tuple[Share, ...]
    total: Share
    strangers: tuple[tuple[str, str], ...]

    @property
    def unmapped(self) -> tuple[MergedCode, ...]:
        return tuple(code for code in self.codes if code.standard is None)


def merge(inventories: Mapping[str, Inventory], crosswalk: Crosswalk | None = None) -> Merged:
    """One table of several inventories.

    Args:
        inventories: by the name of their file.
        crosswalk: a sound one.

    Raises:
        LimitError: too many inventories.
        InputError: two inventories of one agency, or one of an agency that the crosswalk does not
            know; names all such files.
    """
    _require_known(inventories, crosswalk)
    standard = resolved(crosswalk) if crosswalk else {}
    codes = [
        MergedCode(
            inventory.agency,
            entry.code,
            entry.description,
            entry.rows,
            standard.get((inventory.agency, entry.code)),
        )
        for inventory in inventories.values()
        for entry in inventory.codes
    ]
    codes.sort(key=lambda c: (c.rows is None, -(c.rows or 0), c.agency, c.local))
    shares = sorted(
        (_share(inventory, standard) for inventory in inventories.values()),
        key=lambda share: share.agency,
    )
    total = Share(
        "",
        *(
            sum(getattr(share, name) for share in shares)
            for name in ("rows", "mapped", "unmapped", "empty", "rest")
        ),
    )
    named = {(code.agency, code.local) for code in codes}
    counted = {inventory.agency for inventory in inventories.values()}
    strangers = sorted(key for key in standard if key[0] in counted and key not in named)
    return Merged(tuple(codes), _coverage(codes), tuple(shares), total, tuple(strangers))


def _share(inventory: Inventory, standard: Mapping[tuple[str, str], str]) -> Share:
    rows = {True: 0, False: 0}
    for entry in inventory.codes:
        rows[(inventory.agency, entry.code) in standard] += entry.rows or 0
    return Share(
        inventory.agency,
        inventory.rows,
        rows[True],
        rows[False],
        inventory.empty or 0,
        inventory.rest,
    )


def _coverage(codes: Sequence[MergedCode]) -> tuple[Covered, ...]:
    found: dict[str, list[MergedCode]] = defaultdict(list)
    for code in codes:
        if code.standard is not None:
            found[code.standard].append(code)
    covered = [
        Covered(
            name,
            len({code.agency for code in own}),
            len(own),
            sum(code.rows or 0 for code in own),
            sum(code.rows is None for code in own),
        )
        for name, own in found.items()
    ]
    return tuple(sorted(covered, key=lambda c: (-c.rows, c.standard)))


def _require_known(inventories: Mapping[str, Inventory], crosswalk: Crosswalk | None) -> None:
    if len(inventories) > MAX_AGENCIES:
        raise LimitError(f"more than {MAX_AGENCIES} inventories")
    if not inventories:
        raise InputError("no inventory was given")
    files: dict[str, str] = {}
    faults = []
    for file, inventory in inventories.items():
        if (other := files.setdefault(inventory.agency, file)) != file:
            faults.append(f"{file}: is of {inventory.agency!r}, as {other} is")
        elif crosswalk is not None and inventory.agency not in crosswalk.agencies:
            faults.append(f"{file}: {inventory.agency!r} is not an agency of the crosswalk")
    if faults:
        raise InputError(
            "\n".join(faults),
            remedy="Give one inventory of each agency; new agencies are named to crosswalk import"
            " or accept with --agency",
        )
