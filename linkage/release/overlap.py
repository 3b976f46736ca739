"""How many people two files have in common at a release, and what may be said of it.

- Counts in a summary are rounded down to tens, estimates to hundredths: a partner that compares two
  rounds, or that made up its file, learns of no single person.
- The same release gives the same bytes: partners approve their digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.agreement import Manifest
from linkage.agreement.canonical import canonical
from linkage.agreement.safeguards import PartnerReport
from linkage.errors import AgreementError, InvalidRequestError

STEP = 10


@dataclass(frozen=True)
class Overlap:
    """People of two partners' files.

    Attributes:
        common: in both.
        left, right: only in the one, or only in the other.
    """

    partners: tuple[str, str]
    common: int
    left: int
    right: int


def overlaps(people: Mapping[str, npt.NDArray[np.int64]]) -> list[Overlap]:
    """Of every two partners.

    Args:
        people: per partner the number of each row's cluster.
    """
    distinct = {name: np.unique(of) for name, of in people.items()}
    found = []
    for one, other in combinations(distinct, 2):
        common = len(np.intersect1d(distinct[one], distinct[other], assume_unique=True))
        alone = (len(distinct[name]) - common for name in (one, other))
        found.append(Overlap((one, other), common, *alone))
    return found


def require_enough(found: Sequence[Overlap], manifest: Manifest) -> None:
    """Withhold a release that would tell of a few people.

    Raises:
        AgreementError: two files have too few people in common, or one too few that are not in the
            other; names the partners, not the number.
    """
    safe = manifest.safeguards
    for one in found:
        names = " and ".join(map(repr, one.partners))
        if one.common < safe.min_overlap:
            raise _withheld(f"fewer than {safe.min_overlap} people of {names} would be linked")
        if min(one.left, one.right) < safe.min_apart:
            raise _withheld(f"of {names}, one has fewer than {safe.min_apart} people left unlinked")


def summary(
    found: Sequence[Overlap], report: Mapping[str, Any], manifest: Manifest, threshold: float
) -> bytes:
    """What partners may see of a release, canonical JSON."""
    said: dict[str, Any] = {"kind": "release-summary/1", "threshold": threshold}
    if manifest.safeguards.partner_report is not PartnerReport.NONE:
        grid = report["overall"]["thresholds"]
        nearest: dict[str, float] = min(
            grid, key=lambda row: abs(row["threshold"] - threshold), default={}
        )
        said |= {
            "pairs": {
                "|".join(one.partners): {
                    "linked": _down(one.common),
                    "unlinked": [_down(one.left), _down(one.right)],
                }
                for one in found
            },
            "precision": round(float(nearest.get("precision", 0.0)), 2),
            "recall": round(float(nearest.get("recall", 0.0)), 2),
        }
    return canonical(said)


def require_enough_said(data: bytes, manifest: Manifest) -> None:
    """A partner's own look at a summary: is so little linked, or left over, that it is withheld?

    Raises:
        AgreementError: as `require_enough`, as far as rounded counts tell.
        InvalidRequestError: it is no summary of this manifest's partners.
    """
    pairs = {"|".join(pair): pair for pair in combinations(manifest.partner_names, 2)}
    try:
        said = json.loads(data)["pairs"]
        found = [
            Overlap(
                names,
                said[key]["linked"] + STEP - 1,
                *(count + STEP - 1 for count in said[key]["unlinked"]),
            )
            for key, names in pairs.items()
        ]
    except (ValueError, KeyError, TypeError):
        raise InvalidRequestError("the release's summary is malformed") from None
    require_enough(found, manifest)


def _down(count: int) -> int:
    return count // STEP * STEP


def _withheld(why: str) -> AgreementError:
    return AgreementError(
        f"{why}: the manifest withholds such a release",
        remedy="The bounds are the manifest's safeguards; another threshold may reach them",
    )
