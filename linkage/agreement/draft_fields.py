"""What the identifier fields of a draft tell, taken from the profiles of all partners together.

- Only what every partner has is weighed, and of that what tells most.
- A field tells as little as in the file where it tells least.
- A field is intact in two partners' files, there and alike, with probability 0.75 times the shares
  of records that have it.
- What order the profiles come in makes no difference.

    fields = common_fields(profiles)
    fields.intact(["surname", "date_of_birth"])
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

from linkage.agreement.fields import FieldType
from linkage.agreement.profile import SMALLEST_COUNT, FieldProfile, Profile
from linkage.errors import InputError

INTACT = 0.75
DEPENDS_FROM = 0.5
MOST_TOGETHER = 8
MAX_FIELDS = 14
"""More are not weighed against each other; those with the most bits times presence are."""

PLACE = frozenset({FieldType.ADDRESS, FieldType.CITY, FieldType.POSTCODE})
HOUSEHOLD = PLACE | {FieldType.SURNAME, FieldType.PHONE}
CODES = frozenset({FieldType.EXACT, FieldType.NUMBER})


@dataclass(frozen=True)
class CommonFields:
    """The fields that a draft weighs.

    Attributes:
        rows: records of the largest file.
        told: by name, in the manifest's order, the figures of the partner where they tell least.
        chances: by name, for each pair of partners the probability that the field is intact.
        dependent: pairs of names, of fields that depend on each other.
        notes: what was left out, in words.
    """

    rows: int
    told: dict[str, FieldProfile]
    chances: dict[str, tuple[float, ...]]
    dependent: frozenset[frozenset[str]]
    notes: tuple[str, ...]

    def first(self, kind: FieldType) -> str | None:
        """The first field of a type, None where there is none."""
        return next((name for name, field in self.told.items() if field.type is kind), None)

    def intact(self, names: Sequence[str]) -> float:
        """Probability that all these fields are intact, on average over the pairs of partners."""
        chances = (self.chances[name] for name in names)
        by_pair: list[tuple[float, ...]] = list(zip(*chances, strict=True))
        return sum(math.prod(each) for each in by_pair) / len(by_pair)

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Fields to be weighed as one: what a household shares, and codes that profiles found to
        depend on each other or on that.

        People of one household agree in surname, address and telephone at once, so that their
        agreement is one piece of evidence; how much it is worth, the model learns.
        """
        fields = self.told
        group = {name: {name} for name in fields}

        def join(names: Collection[str]) -> None:
            joined: set[str] = set().union(*(group[name] for name in names))
            for name in joined:
                group[name] = joined

        shared = [name for name, field in fields.items() if field.type in HOUSEHOLD]
        if shared:
            join(shared)
        for pair in self.dependent:
            if all(fields[name].type in HOUSEHOLD | CODES for name in pair):
                join(pair)
        found = {
            tuple(sorted(joined, key=lambda name: (-fields[name].bits, name))[:MOST_TOGETHER])
            for joined in group.values()
        }
        return tuple(
            tuple(name for name in fields if name in names)
            for names in sorted(found)
            if len(names) > 1
        )


def common_fields(profiles: Sequence[Profile]) -> CommonFields:
    """Weigh the fields of partners with these profiles.

    Raises:
        InputError: fewer than two partners, one named twice, or a field of two types.
    """
    _require_partners(profiles)
    ordered = sorted(profiles, key=lambda profile: profile.partner.name)
    common, notes = _of_all(ordered)
    presence = {name: [_presence(p.field(name), p.rows) for p in ordered] for name in common}
    told, more = _most_useful(common, presence)
    pairs = list(combinations(range(len(ordered)), 2))
    return CommonFields(
        rows=max(profile.rows for profile in ordered),
        told=told,
        chances={
            name: tuple(INTACT * presence[name][a] * presence[name][b] for a, b in pairs)
            for name in told
        },
        dependent=_dependent(ordered, told),
        notes=(*notes, *more),
    )


def _require_partners(profiles: Sequence[Profile]) -> None:
    names = [profile.partner.name for profile in profiles]
    if len(names) < 2:
        raise InputError("a manifest needs two partners at least", remedy="Name two profiles")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two profiles are of the partner {twice[0]!r}")


def _of_all(profiles: Sequence[Profile]) -> tuple[dict[str, FieldProfile], list[str]]:
    """The fields that every partner has, with the least bits of any, in a fixed order."""
    by_name: dict[str, list[FieldProfile]] = {}
    rows: dict[str, list[float]] = {}
    for profile in profiles:
        for field in profile.fields:
            by_name.setdefault(field.name, []).append(field)
            rows.setdefault(field.name, []).append(profile.rows * _presence(field, profile.rows))
    common, partial = {}, []
    for name in sorted(by_name):
        found = by_name[name]
        first, *others = (field.identifier.model_dump() for field in found)
        if differing := sorted({k for other in others for k in other if other[k] != first[k]}):
            raise InputError(
                f"the profiles do not agree on the {', '.join(differing)} of field {name!r}",
                remedy="Give fields of different kinds different names",
            )
        if len(found) < len(profiles):
            partial.append(name)
        else:
            common[name] = _least_bits(found, rows[name])
    notes = [f"not in every profile, so left out: {', '.join(partial)}"] if partial else []
    order = {kind: place for place, kind in enumerate(FieldType)}
    return dict(sorted(common.items(), key=lambda item: (order[item[1].type], item[0]))), notes


def _least_bits(found: Sequence[FieldProfile], rows: Sequence[float]) -> FieldProfile:
    """The field of the partner where it tells least; of one where nearly every value is another,
    the bits say how small the file is, and only that.
    """
    told = [f for f, n in zip(found, rows, strict=True) if f.bits < math.log2(max(n, 1)) - 1]
    if told:
        return min(told, key=lambda field: field.bits)
    return max(found, key=lambda field: field.bits)


def _presence(field: FieldProfile, rows: int) -> float:
    missing = field.missing
    if missing is None:
        missing = min((SMALLEST_COUNT - 1) / rows, 1.0)
    return 1.0 - missing


def _most_useful(
    common: dict[str, FieldProfile], presence: dict[str, list[float]]
) -> tuple[dict[str, FieldProfile], list[str]]:
    worth = {name: f.bits * min(presence[name]) for name, f in common.items()}
    empty = [name for name in common if not worth[name]]
    ranked = sorted((n for n in common if worth[n]), key=lambda name: (-worth[name], name))
    kept, idle = set(ranked[:MAX_FIELDS]), ranked[MAX_FIELDS:]
    notes = [f"empty or always the same, so left out: {', '.join(empty)}"] if empty else []
    if idle:
        notes.append(f"beyond the {MAX_FIELDS} fields that tell most: {', '.join(sorted(idle))}")
    return {name: field for name, field in common.items() if name in kept}, notes


def _dependent(
    profiles: Sequence[Profile], fields: dict[str, FieldProfile]
) -> frozenset[frozenset[str]]:
    """Pairs that depend on each other: parts of an address, and what any profile found."""
    found = {
        frozenset(pair)
        for pair in combinations(fields, 2)
        if all(fields[name].type in PLACE for name in pair)
    }
    for profile in profiles:
        for pair in profile.dependent:
            if pair.shared >= DEPENDS_FROM and set(pair.fields) <= set(fields):
                found.add(frozenset(pair.fields))
    return frozenset(pair for pair in found if len(pair) == 2)
