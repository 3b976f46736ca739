"""Look cells up in files on this machine: places, standard codes, how many people live in an area.

- A file that the manifest fixes is read only if it is that one.
- Nothing is guessed. A cell without an entry has none: it is counted, and leaves as the manifest
  says, or not at all.
- Problems name row and column, never a cell.

    lookups = Lookups(partner, {"addresses": Path("addresses.csv")})
    lookups.find(table, frame)["tract"].looked_up
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.agent.placelist import normalised_keys, read_places, rows_of
from linkage.agent.source import SourceFile
from linkage.agreement import ContentField, ContentTable, Partner
from linkage.agreement.lookups import CodeList, FieldLookup, Lookup, PlaceList
from linkage.errors import DigestMismatchError, InputError, Problem, SourceError
from linkage.files import read_bounded
from linkage.release.crosswalk.applying import Accounts, Mapper
from linkage.release.crosswalk.checking import parse_crosswalk, resolved
from linkage.release.crosswalk.documents import MAX_BYTES, Crosswalk
from linkage.release.deidentify import LookedUp
from linkage.release.lookups import LookupCount
from linkage.release.places import FEW_PEOPLE, zip3_of

MAX_AREAS = 1000

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
Pair = tuple[ContentField, FieldLookup]


@dataclass(frozen=True)
class Found:
    """What became of a field's cells.

    Attributes:
        unmatched: 0-based rows of the table without an entry, ascending.
    """

    looked_up: LookedUp
    count: LookupCount
    unmatched: Rows


class Lookups:
    """A partner's lookup files.

    Args:
        files: by the name that the manifest gives them; only those that tables need.

    Raises:
        InputError: a file is given for a lookup that the manifest does not have.
        SourceError: one cannot be read.
        DigestMismatchError: one is not the file that the partners agreed on.
    """

    def __init__(self, partner: Partner, files: Mapping[str, Path]) -> None:
        self._known = {one.name: one for one in partner.lookups}
        self._missing = {text.strip().casefold() for text in partner.missing} | {""}
        if unknown := sorted(set(files) - set(self._known)):
            raise InputError(
                f"the manifest gives {partner.name!r} no lookup {unknown[0]!r}",
                remedy=f"Its lookups are {', '.join(self._known) or 'none'}",
            )
        self._crosswalks: dict[str, Crosswalk] = {}
        self._sources: dict[str, SourceFile] = {}
        for name, path in files.items():
            self._open(self._known[name], path)

    def require(self, table: ContentTable) -> None:
        """Raises InputError if a file is missing that the table needs."""
        for field, how in _looked_up(table):
            if how.name not in self._sources and how.name not in self._crosswalks:
                raise InputError(
                    f"field {field.name!r} of table {table.name!r} is looked up in {how.name!r},"
                    " which needs a file",
                    remedy=f"Give it as --lookup {how.name}=FILE",
                )

    def find(self, table: ContentTable, frame: pd.DataFrame) -> dict[str, Found]:
        """By field, what its cells were looked up as.

        Args:
            frame: the table's rows; every cell is a str or missing.

        Raises:
            InputError: a file is missing, or a crosswalk does not fit the field.
            SourceError: a file cannot be used; names its rows and columns.
            LimitError: it is too long.
        """
        self.require(table)
        alike: dict[tuple[str, ...], list[Pair]] = {}
        found: dict[str, Found] = {}
        for field, how in _looked_up(table):
            known = self._known[how.name]
            if isinstance(known, PlaceList):
                alike.setdefault((how.name, _column(field), *how.also), []).append((field, how))
            elif isinstance(known, CodeList):
                found[field.name] = self._codes(field, how, frame)
            else:
                found[field.name] = self._areas(field, how, frame)
        for (name, *columns), pairs in alike.items():
            found |= self._places(name, [frame[column] for column in columns], pairs)
        return found

    def _open(self, known: Lookup, path: Path) -> None:
        if isinstance(known, CodeList):
            used = parse_crosswalk(read_bounded(path, MAX_BYTES), source=path.name)
            _require_digest(known, path, used.digest)
            if used.version != known.version:
                raise InputError(
                    f"the lookup {known.name!r} is version {used.version} of the crosswalk, and the"
                    f" manifest calls it version {known.version}",
                    remedy="Have the manifest corrected and signed anew",
                )
            self._crosswalks[known.name] = used
            return
        source = SourceFile(path)
        if known.digest is not None:
            _require_digest(known, path, source.digest())
        self._sources[known.name] = source

    def _filled(self, cells: pd.Series[Any]) -> Mask:
        """(rows,) whether a cell says something."""
        codes, distinct = pd.factorize(cells, use_na_sentinel=True)
        known = [str(cell).strip().casefold() not in self._missing for cell in distinct]
        filled: Mask = np.array([*known, False])[codes]
        return filled

    def _places(
        self, name: str, columns: Sequence[pd.Series[Any]], pairs: Sequence[Pair]
    ) -> dict[str, Found]:
        """Fields with the same key in the same list, which is read once."""
        known = self._known[name]
        assert isinstance(known, PlaceList)  # noqa: S101 - narrowing for the type checker
        filled = self._filled(columns[0])
        keys = normalised_keys(known.by, columns, self._missing)
        wanted = frozenset(key for key in keys[filled] if key is not None)
        entries = read_places(self._sources[name], known, [field for field, _ in pairs], wanted)
        found = {}
        for field, how in pairs:
            values = entries[field.name]
            cells = [values.get(key) if said else None
                     for key, said in zip(keys, filled, strict=True)]  # fmt: skip
            found[field.name] = _judged(how, pd.Series(cells, dtype=object), filled)
        return found

    def _codes(self, field: ContentField, how: FieldLookup, frame: pd.DataFrame) -> Found:
        used = self._crosswalks[how.name]
        _require_fitting(used, field, how)
        accounts = Accounts()
        who = how.agency or _texts(frame[str(how.agency_column)])
        codes = Mapper(used, missing=self._missing).standard_codes(
            who, _texts(frame[_column(field)]), accounts
        )
        accounts.require_whole()
        filled = self._filled(frame[_column(field)])
        cells = pd.Series(codes, dtype=object)
        unmapped = np.flatnonzero(filled & cells.isna().to_numpy())
        cells[unmapped] = how.unmapped
        return _found(LookedUp(cells), filled, unmapped)

    def _areas(self, field: ContentField, how: FieldLookup, frame: pd.DataFrame) -> Found:
        people = _populations(self._sources[how.name])
        large = frozenset(area for area, count in people.items() if count > FEW_PEOPLE)
        filled = self._filled(frame[_column(field)])
        cells = frame[_column(field)].where(filled).map(str.strip, na_action="ignore")
        of = {text: zip3_of(text, large=large) for text in cells.dropna().unique()}
        areas = cells.map({text: area for text, (area, _) in of.items()})
        wrong = cells.map({text: fault for text, (_, fault) in of.items()})
        absent = {text for text, (area, _) in of.items() if area and text[:3] not in people}
        faults = [(np.flatnonzero(wrong == text), text) for text in wrong.dropna().unique()]
        return _found(LookedUp(areas, faults), filled, np.flatnonzero(cells.isin(absent)))


def digests_of(files: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of each file, under a name that no content table has."""
    found = {}
    for name, path in files.items():
        with path.open("rb") as file:
            found[f"lookup {name}"] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _looked_up(table: ContentTable) -> list[Pair]:
    return [(field, field.lookup) for field in table.fields if field.lookup is not None]


def _column(field: ContentField) -> str:
    return field.column or field.name


def _texts(cells: pd.Series[Any]) -> list[str | None]:
    return [cell if isinstance(cell, str) else None for cell in cells]


def _found(looked_up: LookedUp, filled: Mask, unmatched: Rows) -> Found:
    count = LookupCount(rows=int(filled.sum()), unmatched=len(unmatched))
    return Found(looked_up, count, unmatched)


def _judged(how: FieldLookup, cells: pd.Series[Any], filled: Mask) -> Found:
    """Cells without an entry leave as missing where the agreed share allows that."""
    unmatched = np.flatnonzero(filled & cells.isna().to_numpy())
    if len(unmatched) <= how.unmatched * filled.sum():
        return _found(LookedUp(cells), filled, unmatched)
    text = f"has no entry in the lookup {how.name!r}"
    if how.unmatched:
        text += f"; more than {how.unmatched:.2%} of the filled cells have none"
    return _found(LookedUp(cells, [(unmatched, text)]), filled, unmatched)


def _require_digest(known: Lookup, path: Path, digest: str) -> None:
    if digest != known.digest:
        raise DigestMismatchError(
            f"{path.name} has the digest {digest[:16]}, and the partners agreed on"
            f" {str(known.digest)[:16]} for the lookup {known.name!r}",
            remedy="Get the file that was agreed on, byte for byte; nothing was sent",
        )


def _require_fitting(used: Crosswalk, field: ContentField, how: FieldLookup) -> None:
    if how.agency is not None and how.agency not in used.agencies:
        raise InputError(
            f"field {field.name!r}: the crosswalk {used.name!r} does not know the agency"
            f" {how.agency!r}",
            remedy=f"Its agencies are {', '.join(used.agencies)}",
        )
    if how.unmapped in resolved(used).values():
        raise InputError(
            f"field {field.name!r}: {how.unmapped!r} is a standard code of the crosswalk, so it"
            " cannot mean that there is none",
            remedy="Agree on another word, as unmapped of the field's lookup",
        )


def _populations(source: SourceFile) -> dict[str, int]:
    """How many people live in each three-digit area."""
    found: dict[str, int] = {}
    problems: list[Problem] = []
    for first, batch in rows_of(source, ["zip3", "population"], MAX_AREAS):
        for row, cells in enumerate(
            zip(batch["zip3"], batch["population"], strict=True), first + 1
        ):
            area, count = ((cell or "").strip() for cell in cells)
            if not re.fullmatch(r"\d{3}", area, re.ASCII):
                problems.append(Problem(row, "zip3", "is not an area of three digits"))
            elif area in found:
                problems.append(Problem(row, "zip3", "stands more than once"))
            elif not re.fullmatch(r"\d{1,9}", count, re.ASCII):
                problems.append(Problem(row, "population", "is not a whole number in digits"))
            else:
                found[area] = int(count)
    if problems:
        raise SourceError(source.name, problems, remedy="Correct the table; nothing was sent")
    return found
