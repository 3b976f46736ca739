"""k-anonymity, l-diversity and t-closeness of rows about persons, and local suppression.

- A class is the persons who are alike in every quasi-identifier; a missing value is a value of its
  own, which is stricter than to take it for any value.
- `suppress_locally` takes away single values, as few and as unimportant ones as it finds, until
  every class is large and diverse enough: among all persons, and among those of every table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.errors import DisclosureError

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MAX_TERMS = 10
MISSING = 0
_SUBSETS = 6


def k_anonymity(frame: pd.DataFrame, quasi: Sequence[str]) -> int:
    """Rows of the smallest class; 0 for no rows."""
    return int(np.bincount(_classes(frame, quasi)).min()) if len(frame) else 0


def smallest_class(frame: pd.DataFrame, quasi: Sequence[str], person: str) -> int:
    """Persons of the smallest class; 0 for no rows."""
    pairs = pd.DataFrame({"of": _classes(frame, quasi), "person": frame[person].to_numpy()})
    return int(pairs.drop_duplicates().groupby("of").size().min()) if len(frame) else 0


def l_diversity(frame: pd.DataFrame, quasi: Sequence[str], sensitive: str) -> int:
    """Distinct sensitive values in the class that has fewest; 0 for no rows."""
    if not len(frame):
        return 0
    pairs = pd.DataFrame({"of": _classes(frame, quasi), "value": _codes(frame[sensitive])})
    return int(pairs.drop_duplicates().groupby("of").size().min())


def t_closeness(frame: pd.DataFrame, quasi: Sequence[str], sensitive: str) -> float:
    """The largest distance between the sensitive values of a class and those of all rows: half the
    sum of the differences of shares (earth mover's distance, all values equally far apart).
    """
    if not len(frame):
        return 0.0
    counts = pd.crosstab(_classes(frame, quasi), _codes(frame[sensitive])).to_numpy(np.float64)
    overall = counts.sum(axis=0) / counts.sum()
    shares = counts / counts.sum(axis=1, keepdims=True)
    return float(np.abs(shares - overall).sum(axis=1).max() / 2)


def _classes(frame: pd.DataFrame, quasi: Sequence[str]) -> Codes:
    found = np.zeros(len(frame), np.int64)
    for name in quasi:
        codes = _codes(frame[name])
        found = np.unique(found * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1]
    return found


def _codes(column: pd.Series[Any]) -> Codes:
    return pd.factorize(column, use_na_sentinel=False)[0].astype(np.int64)


@dataclass(frozen=True)
class Group:
    """Persons among whom classes must be large enough.

    Attributes:
        name: for people.
        members: whose row it is, by the place among all persons; one may have several.
        codes: rows x terms, the most important term first: what a row tells; 0 is missing.
        sensitive: per sensitive column, (row, value).
    """

    name: str
    members: Codes
    codes: Codes
    sensitive: Sequence[tuple[Codes, Codes]] = ()


def suppress_locally(
    persons: int,
    groups: Sequence[Group],
    *,
    k: int,
    l: int = 1,  # noqa: E741
) -> Mask:
    """Which terms to suppress of which person, in every group that knows of them: persons x terms.

    Args:
        groups: in each of them, every class has `k` persons and `l` values of what is sensitive.

    Raises:
        DisclosureError: a group has fewer than `k` persons, or too few sensitive values.
    """
    terms = groups[0].codes.shape[1]
    if terms > MAX_TERMS:
        raise DisclosureError(f"there are more than {MAX_TERMS} quasi-identifiers")
    for group in groups:
        _require_possible(group, k, l)
    hidden = np.zeros((persons, terms), np.bool_)
    while True:
        for subset in _subsets(terms):
            failing = ~_fine(hidden, groups, k, l)
            if not failing.any():
                return hidden
            tried = hidden.copy()
            tried[np.ix_(np.flatnonzero(failing), np.array(subset))] = True
            good = failing & _fine(tried, groups, k, l)
            hidden[good] = tried[good]
        # What is left is alike in nothing that is shown, and too few: others join it.
        _join(hidden, groups, k, l)


def _require_possible(group: Group, k: int, l: int) -> None:  # noqa: E741
    persons = len(np.unique(group.members))
    if 0 < persons < k:
        raise DisclosureError(
            f"{group.name} holds fewer than {k} persons, too few for any of them to be hidden"
            " among the others",
            remedy="It would pass without its quasi-identifiers, or with a smaller k",
        )
    for _, values in group.sensitive:
        if persons and len(np.unique(values)) < l:
            raise DisclosureError(
                f"a sensitive column of {group.name} has fewer than {l} values in all"
            )


def _subsets(terms: int) -> Iterator[list[int]]:
    """Sets of terms to take away: one weighs as much as all that are less important together."""
    if terms > _SUBSETS:
        yield from (list(range(terms - size, terms)) for size in range(1, terms + 1))
        return
    for weight in range(1, 1 << terms):
        yield [term for term in range(terms) if weight >> (terms - 1 - term) & 1]


def class_numbers(codes: Codes) -> Codes:
    """The same number for rows that are alike in every column; codes are not negative."""
    found = np.zeros(len(codes), np.int64)
    for column in codes.T:
        found = found * (int(column.max(initial=0)) + 1) + column
        if found.max(initial=0) > 1 << 40:
            found = np.unique(found, return_inverse=True)[1].astype(np.int64)
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def _keys(hidden: Mask, group: Group) -> Codes:
    return class_numbers(np.where(hidden[group.members], MISSING, group.codes))


def _fine(hidden: Mask, groups: Sequence[Group], k: int, l: int) -> Mask:  # noqa: E741
    """Whose class is large and diverse enough in every group that has that person."""
    found = np.ones(len(hidden), np.bool_)
    for group in groups:
        keys = _keys(hidden, group)
        # A person with two rows of a class is one of it.
        persons = np.unique(keys * len(hidden) + group.members) // len(hidden)
        sizes = np.bincount(persons)
        fine = sizes >= k
        for person, value in group.sensitive if l > 1 else ():
            pairs = pd.DataFrame({"key": keys[person], "value": value}).drop_duplicates()
            fine &= np.bincount(pairs["key"].to_numpy(), minlength=len(sizes)) >= l
        found[group.members[~fine[keys]]] = False
    return found


def _join(hidden: Mask, groups: Sequence[Group], k: int, l: int) -> None:  # noqa: E741
    """Take everything from those that still fail and, where that does not do, from the smallest
    class of their group that has something left.
    """
    failing = ~_fine(hidden, groups, k, l)
    if (failing & ~hidden.all(axis=1)).any():
        hidden[failing] = True
        return
    for group in groups:
        shown = ~hidden[group.members].all(axis=1)
        if not failing[group.members].any() or not shown.any():
            continue
        keys = _keys(hidden, group)
        sizes = np.bincount(keys[shown], minlength=int(keys.max()) + 1)
        smallest = np.where(sizes > 0, sizes, len(hidden) + 1).argmin()
        hidden[group.members[shown & (keys == smallest)]] = True
        return
    if failing.any():
        raise DisclosureError("local suppression cannot reach what the manifest asks for")
