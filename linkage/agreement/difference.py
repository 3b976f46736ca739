"""What differs between two manifests, setting by setting.

- Both are compared in canonical form: a default written out is no difference.
- Partners, tables, fields and the like are known again by their names, wherever they stand; where
  only the order differs, that is said once, since the project secret is made in that order.
- A change is marked as weakening when more may leave, more may be asked, or less is needed, as far
  as that can be told from the setting alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from linkage.agreement.manifest import Manifest
from linkage.agreement.transforms import Transform

ABSENT = None
ORDER = "(order)"


@dataclass(frozen=True)
class Change:
    """One setting that differs.

    Attributes:
        place: where, such as `partners.health.unique`.
        kind: `added`, `removed` or `changed`.
        before, after: JSON values; None where there is none.
        weakens: whether protection is less afterwards, as far as can be told.
    """

    place: str
    kind: str
    before: Any
    after: Any
    weakens: bool


# Settings of which more, or less, protects less.
_UP = (
    r"retention_days|max_rows|expires|matching\.(quota|answer_runs|answer_hours)"
    r"|safeguards\.(rows_per_person|commonest_share)|partners\..*\.duplicates|budgets\..*"
    r"|disclosure\.most_suppressed|audit\.(unknown|known|active|commonest)"
)
_DOWN = (
    r"min_rows|scheme\.hashes|matching\.(threshold|precision)"
    r"|safeguards\.(min_change|min_overlap|min_apart)"
    r"|disclosure\.(min_cell|k|l|rounding)"
)
_ADDED = r"partners\.[^.]+|recipients\.[^.]+|fields\.[^.]+|match_keys\.[^.]+|strata\.[^.]+"
_ADDED += r"|partners\.[^.]+\.(content\..*|aliases\..*|strata\..*)"
_ADDED += r"|disclosure\.tables\.[^.]+|disclosure\.checkers\.[^.]+"
_REMOVED = r"partners\..*policies\..*|stewards\.[^.]+"
_RANKS: dict[str, dict[str | None, int]] = {
    "profile": {"aggregate-only": 0, "safe-harbor": 1, "limited-dataset": 2, None: 3},
    "transform": {
        **{transform.value: 0 for transform in Transform},
        "day": 1,
        "month": 1,
        "municipality": 1,
        "tract": 2,
        "number": 3,
        "keep": 3,
    },
    "partner_report": {"none": 0, "summary": 1, "full": 2},
}
_WORSE = {"two_stewards": False, "two_checkers": False, "strict": False, "risk_acknowledged": True}


def differences(one: Manifest, other: Manifest) -> tuple[Change, ...]:
    """The changes from `one` to `other`, by place; none where their fingerprints are the same."""
    before, after = (json.loads(manifest.canonical) for manifest in (one, other))
    return tuple(sorted(_compare("", before, after), key=lambda change: change.place))


def _compare(place: str, before: Any, after: Any) -> Iterator[Change]:
    if type(before) is type(after) and before == after:
        return
    if _names(before) is not None and _names(after) is not None:
        yield from _compare_named(place, before, after)
    elif isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            inner = f"{place}.{name}" if place else name
            if name not in after:
                yield _change(inner, "removed", before[name], ABSENT)
            elif name not in before:
                yield _change(inner, "added", ABSENT, after[name])
            else:
                yield from _compare(inner, before[name], after[name])
    else:
        yield _change(place, "changed", before, after)


def _compare_named(place: str, before: Any, after: Any) -> Iterator[Change]:
    old, new = _by_name(before), _by_name(after)
    yield from _compare(place, old, new)
    both = [name for name in old if name in new]
    again = [name for name in new if name in old]
    if both != again:
        yield Change(f"{place} {ORDER}", "changed", both, again, weakens=False)


def _names(value: Any) -> list[str] | None:
    """The names of a list of named things, or None where it is none."""
    if not isinstance(value, list):
        return None
    named = [i.get("name") or i.get("tag") for i in value if isinstance(i, dict)]
    names = [name for name in named if isinstance(name, str)]
    return names if len(names) == len(value) else None


def _by_name(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item.get("name") or item["tag"]: item for item in items}


def _change(place: str, kind: str, before: Any, after: Any) -> Change:
    return Change(place, kind, before, after, _weakens(place, kind, before, after))


def _weakens(place: str, kind: str, before: Any, after: Any) -> bool:
    if kind != "changed":
        return _is(_ADDED if kind == "added" else _REMOVED, place)
    last = place.rpartition(".")[2]
    if last in _RANKS:
        return _RANKS[last][after] > _RANKS[last][before]
    if last in ("values", "within", "recipients") and ".content." in place:
        # None allows any code, every place, and every recipient.
        return after is None or (before is not None and not set(after) <= set(before))
    if last == "exceptions":
        return any(one not in before for one in after)
    if last in _WORSE:
        return bool(after == _WORSE[last])
    more = after is None or (before is not None and after > before)
    less = after is None or (before is not None and after < before)
    return (_is(_UP, place) and more) or (_is(_DOWN, place) and less)


def _is(pattern: str, place: str) -> bool:
    return re.fullmatch(pattern, place) is not None
