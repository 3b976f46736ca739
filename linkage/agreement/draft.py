"""Propose a manifest from the partners' value-free profiles. No truth is needed.

The rule, explained in docs/explanation/draft-manifest.md:

- A match key has two to four fields whose collision entropies add up to at least
  log2(largest file) + 3 bits. A field that depends on one already counted adds 0.4 of its bits.
- It holds a given or middle name, the birth date or a national id, which tell the members of a
  household apart. One of names alone needs 4 bits more: its commonest values repeat most.
- Keys are taken one after the other, always the one that most raises the probability that at
  least one key of a person is intact in two partners' files, a field being intact with
  probability 0.75 times the shares of records that have it. In 5% of the pairs given name and
  surname are taken to be swapped: then a key with both still meets, one with either does not.
- Eight keys, and more while each still raises that probability by 0.002: up to ten under `saul-v1`,
  up to sixteen under `minhash-v1`.
- Under `minhash-v1` none holds both city and postcode, and all of them together share their values,
  or nearly, with a sixth of another person by chance at most: people whom an attacker knows stand
  beside those it does not. A key is taken by what it adds less a price for its part of that sixth;
  of a few prices the one that gets furthest counts.

Pure: profiles in, manifest and reasons out; the same profiles in any order give the same keys.

    draft = draft_manifest(profiles, Terms(project="county", title="...", ...))
    draft.manifest.canonical
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.agreement.fields import FieldType
from linkage.agreement.governance import QUESTIONS, TO_BE_WRITTEN
from linkage.agreement.manifest import Manifest
from linkage.agreement.parties import Partner
from linkage.agreement.profile import SMALLEST_COUNT, FieldProfile, Profile
from linkage.agreement.reading import parse_manifest
from linkage.agreement.scheme import MOST_PAIRS, Matching
from linkage.errors import InputError

SIZES = (2, 3, 4)
SPARE_BITS = 3.0
NAMES_SPARE_BITS = 4.0
DEPENDENT_WORTH = 0.4
INTACT = 0.75
SWAPPED = 0.05
FEWEST_KEYS = 8
WORTH_A_KEY = 0.002
_LEAST_QUOTA = 2
ALIKE_BITS = 2.0
"""In a key of several names each but the first counts so much less: names that differ are often
alike (measured: nearly so alike as to be taken for equal four times as often as equal)."""
CROWD_PRICES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
DEPENDS_FROM = 0.5
MOST_TOGETHER = 8
MAX_FIELDS = 14
"""More are not weighed against each other; those with the most bits times presence are."""

PERSON = frozenset(
    kind
    for kind in FieldType
    if kind.value in {"given_name", "middle_name", "full_name", "date_of_birth", "national_id"}
)
PLACE = frozenset({FieldType.ADDRESS, FieldType.CITY, FieldType.POSTCODE})
COARSE = frozenset({FieldType.CITY, FieldType.POSTCODE})
"""One nearly tells the other: a key of both and a birth date alone gave one person in 30 away."""
HOUSEHOLD = PLACE | {FieldType.SURNAME, FieldType.PHONE}
CODES = frozenset({FieldType.EXACT, FieldType.NUMBER})


@dataclass(frozen=True)
class Rule:
    """What the scheme asks of a draft's match keys.

    Attributes:
        most_keys: so many at most.
        most_crowd: over all keys, how many others of the largest file share a key's values, or
            nearly, by chance, at most.
        coarse: whether a key may hold both city and postcode.
    """

    most_keys: int
    most_crowd: float
    coarse: bool


RULES = {
    "saul-v1": Rule(most_keys=10, most_crowd=math.inf, coarse=True),
    "minhash-v1": Rule(most_keys=16, most_crowd=0.16, coarse=False),
}


@dataclass(frozen=True)
class Terms:
    """What a manifest says that no profile can tell.

    Attributes:
        scheme: a name in `RULES`.
    """

    project: str
    title: str
    purpose: str
    legal_basis: str
    expires: date
    assembler: str
    scheme: str = "minhash-v1"


@dataclass(frozen=True)
class DraftField:
    """A field as the rule sees it.

    Attributes:
        bits: collision entropy, the smallest of the partners'.
        intact: probability that it is there and alike in both files of a pair of partners,
            on average over the pairs.
    """

    name: str
    type: FieldType
    bits: float
    intact: float


@dataclass(frozen=True)
class DraftKey:
    """A chosen match key, and why.

    Attributes:
        bits: what its fields add up to.
        needed: what they had to add up to.
        intact: probability that all its fields are intact.
        gain: by how much it raised the chance that at least one key is.
        chance: that chance with this key and those before it.
    """

    name: str
    fields: tuple[str, ...]
    bits: float
    needed: float
    intact: float
    gain: float
    chance: float


@dataclass(frozen=True)
class Draft:
    """A proposal for the partners to read and change.

    Attributes:
        manifest: valid as it stands.
        fields: the fields weighed, in the manifest's order.
        keys: the match keys, in the order in which they were chosen.
        groups: fields that depend on each other, to be compared as one.
        notes: what was left out or is to be decided, in words.
    """

    manifest: Manifest
    fields: tuple[DraftField, ...]
    keys: tuple[DraftKey, ...]
    groups: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def draft_manifest(profiles: Sequence[Profile], terms: Terms) -> Draft:
    """Propose fields, weights, match keys and groups for partners with these profiles.

    Raises:
        InputError: fewer than two partners, one named twice, a field of two types, or no set of
            fields that satisfies the rule.
        ManifestError: the terms make no valid manifest.
    """
    _require_partners(profiles)
    # The manifest names partners in the order given; nothing is proposed by it.
    ordered = sorted(profiles, key=lambda profile: profile.partner.name)
    common, notes = _common_fields(ordered)
    presence = {name: [_presence(p.field(name), p.rows) for p in ordered] for name in common}
    weighed, more = _most_useful(common, presence)
    notes += more
    dependent = _dependent(ordered, weighed)
    needed = math.log2(max(profile.rows for profile in ordered)) + SPARE_BITS
    rule = RULES[terms.scheme]
    allowed = _allowed(weighed, dependent, needed, rule)
    keys = _choose(weighed, presence, allowed, needed, rule) if allowed else ()
    if not keys:
        raise InputError(
            f"no set of two to four common fields reaches the {needed:.1f} bits that files of this"
            " size need, and a few more under minhash-v1, holds a given or middle name or the birth"
            " date, and is not of names alone",
            remedy="Profile more fields that all the partners have",
        )
    if len(keys) < FEWEST_KEYS:
        notes.append(
            f"only {len(keys)} match keys satisfy the rule and add anything; eight are usual."
            " More fields that all the partners have would help"
        )
    used = {name for key in keys for name in key.fields}
    if idle := [name for name in weighed if name not in used]:
        notes.append(f"in no match key, compared for single pairs only: {', '.join(idle)}")
    groups = _groups(weighed, dependent)
    return Draft(
        manifest=_manifest(profiles, terms, weighed, keys, groups),
        fields=tuple(
            DraftField(name, f.type, f.bits, _all_intact([name], presence))
            for name, f in weighed.items()
        ),
        keys=keys,
        groups=groups,
        notes=tuple(notes),
    )


def key_bits(
    fields: Sequence[str], bits: dict[str, float], dependent: frozenset[frozenset[str]]
) -> float:
    """What the collision entropies of some fields add up to, dependence counted."""
    total = 0.0
    taken: list[str] = []
    for name in sorted(fields, key=lambda name: (-bits[name], name)):
        depends = any(frozenset((name, other)) in dependent for other in taken)
        total += bits[name] * (DEPENDENT_WORTH if depends else 1.0)
        taken.append(name)
    return total


def _require_partners(profiles: Sequence[Profile]) -> None:
    names = [profile.partner.name for profile in profiles]
    if len(names) < 2:
        raise InputError("a manifest needs two partners at least", remedy="Name two profiles")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two profiles are of the partner {twice[0]!r}")


def _common_fields(profiles: Sequence[Profile]) -> tuple[dict[str, FieldProfile], list[str]]:
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


def _allowed(
    fields: dict[str, FieldProfile],
    dependent: frozenset[frozenset[str]],
    needed: float,
    rule: Rule,
) -> dict[tuple[str, ...], float]:
    """Every set of fields that satisfies the rule, with its bits."""
    bits = {name: field.bits for name, field in fields.items()}
    allowed = {}
    for size in SIZES:
        for names in combinations(fields, size):
            kinds = [fields[name].type for name in names]
            if not PERSON.intersection(kinds) or (not rule.coarse and set(kinds) >= COARSE):
                continue
            total = key_bits(names, bits, dependent)
            of_names = all(kind.is_name for kind in kinds)
            if total >= needed + (NAMES_SPARE_BITS if of_names else 0.0):
                allowed[names] = total
    return allowed


def _choose(
    fields: dict[str, FieldProfile],
    presence: dict[str, list[float]],
    allowed: dict[tuple[str, ...], float],
    needed: float,
    rule: Rule,
) -> tuple[DraftKey, ...]:
    """Take keys greedily, where the crowd is bounded at the price for it that gets furthest."""
    prices = (0.0,) if math.isinf(rule.most_crowd) else CROWD_PRICES
    drafts = (_greedy(fields, presence, allowed, needed, rule, price) for price in prices)
    return max(drafts, key=lambda keys: round(keys[-1].chance if keys else 0.0, 6))


def _greedy(
    fields: dict[str, FieldProfile],
    presence: dict[str, list[float]],
    allowed: dict[tuple[str, ...], float],
    needed: float,
    rule: Rule,
    price: float,
) -> tuple[DraftKey, ...]:
    """Take keys one after the other, the most gain less the price of its crowd first.

    All sets of intact fields are weighed by their probability; a key is intact in every set that
    holds its fields. What a key adds is the probability of those that no key before it was in.
    """
    worlds = _worlds(fields, presence, allowed)
    crowds = {key: _crowd(key, fields, bits, needed) for key, bits in allowed.items()}
    chosen: list[DraftKey] = []
    chance = crowd = 0.0
    while len(chosen) < rule.most_keys:
        # What is left of the crowd that an attacker may know; `needed` holds SPARE_BITS.
        allowed = {
            key: bits for key, bits in allowed.items() if crowd + crowds[key] <= rule.most_crowd
        }
        if not allowed:
            break
        gains = dict.fromkeys(allowed, 0.0)
        for world in worlds:
            world.add_gains(gains)
        worth = {key: gain - price * crowds[key] for key, gain in gains.items()}
        best = min(worth, key=lambda key: (-round(worth[key], 9), -allowed[key], len(key), key))
        gain = gains[best]
        if gain < (1e-9 if len(chosen) < FEWEST_KEYS else WORTH_A_KEY):
            break
        chance += gain
        crowd += crowds[best]
        chosen.append(
            DraftKey(
                name=_key_name(best, {key.name for key in chosen}),
                fields=best,
                bits=allowed[best],
                needed=needed,
                intact=_all_intact(best, presence),
                gain=gain,
                chance=chance,
            )
        )
        for world in worlds:
            world.take(best)
    return tuple(chosen)


def _crowd(
    key: Sequence[str], fields: dict[str, FieldProfile], bits: float, needed: float
) -> float:
    """How many others a key takes for the same person, or nearly: names are alike more often than
    they are equal, and in a key of several all of them may be.
    """
    names = sum(fields[name].type.is_name for name in key)
    alike = ALIKE_BITS * max(names - 1, 0)
    return float(2.0 ** (needed - SPARE_BITS + alike - bits))


@dataclass
class _World:
    """Pairs of records of one kind: by the set of their intact fields, how many no key meets yet.

    Attributes:
        left: (2 to the number of fields,) by bit mask of the intact fields, the share of all pairs.
        masks: the keys that can meet at all, as bit masks.
    """

    left: npt.NDArray[np.float64]
    masks: dict[tuple[str, ...], int]

    def add_gains(self, gains: dict[tuple[str, ...], float]) -> None:
        sums = _sums_over_supersets(self.left)
        for key in gains.keys() & self.masks.keys():
            gains[key] += float(sums[self.masks[key]])

    def take(self, key: tuple[str, ...]) -> None:
        mask = self.masks.get(key)
        if mask is not None:
            held = np.arange(len(self.left))
            self.left = np.where(held & mask == mask, 0.0, self.left)


def _worlds(
    fields: dict[str, FieldProfile],
    presence: dict[str, list[float]],
    allowed: dict[tuple[str, ...], float],
) -> list[_World]:
    """Pairs with their names in place, and pairs with given name and surname swapped."""
    names = list(fields)
    masks = {key: sum(1 << names.index(name) for name in key) for key in allowed}
    shares = _probabilities([presence[name] for name in names])
    swaps = _swappable(fields)
    swapped = SWAPPED if swaps else 0.0
    together = {
        key: mask for key, mask in masks.items() if all(_both_or_none(key, s) for s in swaps)
    }
    return [
        _World((1 - swapped) * shares, masks),
        _World(swapped * shares, together),
    ]


def _both_or_none(key: Sequence[str], swap: tuple[str, str]) -> bool:
    return (swap[0] in key) == (swap[1] in key)


def _swappable(fields: dict[str, FieldProfile]) -> tuple[tuple[str, str], ...]:
    """A given name and a surname, which people and clerks mistake for each other."""
    first = {kind: name for name, kind in reversed([(n, f.type) for n, f in fields.items()])}
    pair = [first.get(FieldType.GIVEN_NAME), first.get(FieldType.SURNAME)]
    return ((pair[0], pair[1]),) if pair[0] and pair[1] else ()


def _pairs(partners: int) -> list[tuple[int, int]]:
    return list(combinations(range(partners), 2))


def _all_intact(names: Sequence[str], presence: dict[str, list[float]]) -> float:
    pairs = _pairs(len(presence[names[0]]))
    return sum(
        math.prod(INTACT * presence[name][a] * presence[name][b] for name in names)
        for a, b in pairs
    ) / len(pairs)


def _probabilities(presence: list[list[float]]) -> npt.NDArray[np.float64]:
    """The probability that exactly the fields of a bit mask are intact, by mask."""
    pairs = _pairs(len(presence[0]))
    total = np.zeros(1 << len(presence))
    for a, b in pairs:
        found = np.ones(1)
        for shares in presence:
            intact = INTACT * shares[a] * shares[b]
            found = np.concatenate([found * (1 - intact), found * intact])
        total += found / len(pairs)
    return total


def _sums_over_supersets(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For every mask the sum of the weights of all masks that hold it."""
    sums = weights.copy()
    for bit in range(len(weights).bit_length() - 1):
        halves = sums.reshape(-1, 2, 1 << bit)
        halves[:, 0] += halves[:, 1]
    return sums


def _key_name(fields: Sequence[str], taken: set[str]) -> str:
    joined = "-".join(fields)
    name = joined if len(joined) <= 60 else "-".join(part[:14] for part in fields)
    return name if name not in taken else f"{name[:58]}-{len(taken)}"


def _groups(
    fields: dict[str, FieldProfile], dependent: frozenset[frozenset[str]]
) -> tuple[tuple[str, ...], ...]:
    """Fields to be weighed as one: what a household shares, and codes that profiles found to
    depend on each other or on that.

    People of one household agree in surname, address and telephone at once, so that their
    agreement is one piece of evidence; how much it is worth, the model learns.
    """
    group = {name: {name} for name in fields}

    def join(names: Collection[str]) -> None:
        joined: set[str] = set().union(*(group[name] for name in names))
        for name in joined:
            group[name] = joined

    shared = [name for name, field in fields.items() if field.type in HOUSEHOLD]
    if shared:
        join(shared)
    for pair in dependent:
        if all(fields[name].type in HOUSEHOLD | CODES for name in pair):
            join(pair)
    found = {
        tuple(sorted(joined, key=lambda name: (-fields[name].bits, name))[:MOST_TOGETHER])
        for joined in group.values()
    }
    return tuple(
        tuple(name for name in fields if name in names) for names in sorted(found) if len(names) > 1
    )


def _manifest(
    profiles: Sequence[Profile],
    terms: Terms,
    fields: dict[str, FieldProfile],
    keys: Sequence[DraftKey],
    groups: tuple[tuple[str, ...], ...],
) -> Manifest:
    document = {
        "linkage": "manifest/1",
        "project": terms.project,
        "title": terms.title,
        "purpose": terms.purpose,
        "legal_basis": terms.legal_basis,
        "governance": dict.fromkeys(QUESTIONS, f"{TO_BE_WRITTEN}."),
        "expires": terms.expires.isoformat(),
        "partners": [_partner(profile.partner, fields) for profile in profiles],
        "recipients": [{"name": terms.assembler, "role": "assembler"}],
        "fields": [
            field.identifier.model_dump(mode="json", exclude_defaults=True)
            for field in fields.values()
        ],
        # Explicit, so that whoever reads the draft sees what can be changed.
        "match_keys": [
            {"name": key.name, "fields": key.fields, "weights": dict.fromkeys(key.fields, 1)}
            for key in keys
        ],
        "scheme": {"name": terms.scheme},
        "matching": {
            "quota": _quota([profile.partner for profile in profiles]),
            "dependent": groups,
            "swaps": _swaps(fields),
        },
    }
    return parse_manifest(json.dumps(document).encode(), source="the draft")


def _quota(partners: Sequence[Partner]) -> int:
    """As many pairs of each record with every other file as a hub may learn of."""
    usual, duplicates = Matching().quota, sum(not partner.unique for partner in partners)
    for quota in range(usual, _LEAST_QUOTA, -1):
        matching = Matching(quota=quota)
        if matching.pairs_of_a_record(len(partners), duplicates) <= MOST_PAIRS:
            return quota
    return _LEAST_QUOTA


def _swaps(fields: dict[str, FieldProfile]) -> list[tuple[str, str]]:
    """Names that may stand in each other's place: given name and surname swapped, a surname kept
    as middle name, a middle name used as given name.
    """
    first = {field.type: name for name, field in reversed(fields.items())}
    return [
        (first[one], first[other])
        for one, other in (
            (FieldType.GIVEN_NAME, FieldType.SURNAME),
            (FieldType.MIDDLE_NAME, FieldType.SURNAME),
            (FieldType.GIVEN_NAME, FieldType.MIDDLE_NAME),
        )
        if one in first and other in first
    ]


def _partner(partner: Partner, used: Collection[str]) -> dict[str, Any]:
    """What the partner said of itself; of its fields, only what is said of those kept."""
    found = partner.model_dump(mode="json", exclude_defaults=True)
    return {
        setting: {k: v for k, v in value.items() if k in used} if isinstance(value, dict) else value
        for setting, value in found.items()
    }
