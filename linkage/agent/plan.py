"""Where each record of a file goes in its upload: drawn once, and kept while the file is encoded.

- Rows of the upload stand in the order of their random handles, which says nothing of the file's
  order.
- A killed process finds its plan again, and with it what the check of the file found: neither has
  to be made anew. A plan that is damaged is none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import NonNegativeInt, ValidationError

from linkage.agent.checking import Checked
from linkage.agent.findings import Reason
from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Strict
from linkage.files import PRIVATE, write_atomic
from linkage.release.pseudonyms import draw_ids

Handles = npt.NDArray[np.uint8]
_Counts = dict[str, NonNegativeInt]


class _Found(Strict):
    """What the check found, as `Checked` has it."""

    missing: _Counts
    covered: _Counts
    sentinels: _Counts
    grouped: NonNegativeInt
    unlisted: _Counts
    reasons: list[Reason]


class _Saved(Strict):
    made_from: dict[str, Any]
    checked: _Found


@dataclass(frozen=True)
class Plan:
    """A file's way into an upload.

    Attributes:
        checked: the file as it was checked.
        places: (records sent,) uint32 first row of the upload of each, in the file's order.
    """

    checked: Checked
    places: npt.NDArray[np.uint32]

    def first_places(self, first: int, end: int) -> npt.NDArray[np.int64]:
        """For rows of the file, the first row of the upload of each; 0 where it is left out."""
        variants = self.checked.variants
        before = np.count_nonzero(variants[:first])
        sent = variants[first:end] > 0
        found = np.zeros(end - first, np.int64)
        found[sent] = self.places[before : before + np.count_nonzero(sent)]
        return found

    def save(self, directory: Path, made_from: Mapping[str, Any]) -> None:
        """Keep it beside what it was made from."""
        _write_array(directory / "places", self.places)
        _write_array(directory / "variants", self.checked.variants)
        said = {
            name: value for name, value in vars(self.checked).items() if name in _Found.model_fields
        }
        said["reasons"] = [asdict(reason) for reason in self.checked.reasons]
        document = {"made_from": dict(made_from), "checked": said}
        write_atomic(directory / "plan.json", canonical(document))

    @classmethod
    def load(cls, directory: Path, made_from: Mapping[str, Any]) -> Plan | None:
        """The plan that was kept in a directory, if it was made from the same."""
        try:
            saved = _Saved.model_validate_json((directory / "plan.json").read_bytes())
            variants = np.fromfile(directory / "variants", np.uint8)
            places = np.fromfile(directory / "places", np.uint32)
        except (FileNotFoundError, ValidationError):
            return None
        if any(saved.made_from.get(name) != value for name, value in made_from.items()):
            return None
        said = {name: getattr(saved.checked, name) for name in _Found.model_fields}
        said["reasons"] = tuple(said["reasons"])
        plan = cls(Checked(**said, variants=variants, groups=None), places)
        return plan if plan.whole else None

    @property
    def whole(self) -> bool:
        """Whether every record sent has a place of its own."""
        counts = self.checked.variants[self.checked.variants > 0].astype(np.int64)
        if len(counts) != len(self.places):
            return False
        order = np.argsort(self.places, kind="stable")
        ends = np.cumsum(counts[order])
        return bool((self.places[order] == ends - counts[order]).all())


def draw(
    checked: Checked, former: tuple[Handles, npt.NDArray[np.bool_]] | None = None
) -> tuple[Plan, Handles, Handles]:
    """A new plan, and the (rows of the upload, 16) row and group handles in the upload's order.

    Args:
        former: for every row of the file the handle it had in an earlier upload, and whether it
            had one; see `rowmap.former_handles`.

    Takes some 100 bytes of memory per record for a moment.
    """
    counts = checked.variants[checked.variants > 0]
    ids = draw_ids(len(counts))
    if former is not None:
        handles, known = (part[checked.variants > 0] for part in former)
        ids[known] = handles[known]
    order = sorted_order(ids)
    sizes = counts[order]
    ends = np.cumsum(sizes, dtype=np.int64)
    places = np.empty(len(counts), np.uint32)
    places[order] = ends - sizes
    record = np.repeat(order, sizes)
    handles = ids[record]
    del ids, order
    persons = draw_ids(len(counts))
    if checked.groups is not None:
        first = checked.groups[checked.variants > 0]
        _, person = np.unique(first, return_inverse=True)
        persons = persons[person]
    return Plan(checked, places), handles, persons[record]


def sorted_order(ids: Handles) -> npt.NDArray[np.intp]:
    """The order of (n, 16) ids as bytes."""
    words = np.ascontiguousarray(ids).view(">u8").astype(np.uint64)
    return np.lexsort((words[:, 1], words[:, 0]))


def _write_array(path: Path, array: npt.NDArray[Any]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "wb") as file:
        array.tofile(file)
        file.flush()
        os.fsync(file.fileno())
