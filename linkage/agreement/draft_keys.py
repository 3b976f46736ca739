"""Which match keys a draft takes.

- A match key has two to four fields whose collision entropies add up to at least
  log2(largest file) + 3 bits. A field that depends on one already counted adds 0.4 of its bits.
- It holds a given or middle name, the birth date or a national id, which tell the members of a
  household apart. One of names alone needs 4 bits more: its commonest values repeat most.
- Keys are taken one after the other, always the one that most raises the probability that at
  least one key of a person is intact in two partners' files. In 5% of the pairs given name and
  surname are taken to be swapped: then a key with both still meets, one with either does not.
- Eight keys, and more while each still raises that probability by 0.002: up to ten under `saul-v1`,
  up to sixteen under `minhash-v1`.
- Under `minhash-v1` none holds both city and postcode, and all of them together share their values,
  or nearly, with a sixth of another person by chance at most: people whom an attacker knows stand
  beside those it does not. A key is taken by what it adds less a price for its part of that sixth;
  of a few prices the one that gets furthest counts.

    keys = choose_keys(common_fields(profiles), RULES["minhash-v1"])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from linkage.agreement.draft_fields import CommonFields
from linkage.agreement.fields import FieldType
from linkage.errors import InputError

SIZES = (2, 3, 4)
NAMES_SPARE_BITS = 4.0
DEPENDENT_WORTH = 0.4
SWAPPED = 0.05
FEWEST_KEYS = 8
WORTH_A_KEY = 0.002
ALIKE_BITS = 2.0
"""In a key of several names each but the first counts so much less: names that differ are often
alike (measured: nearly so alike as to be taken for equal four times as often as equal)."""
CROWD_PRICES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)

PERSON = frozenset(
    kind
    for kind in FieldType
    if kind.value in {"given_name", "middle_name", "full_name", "date_of_birth", "national_id"}
)
COARSE = frozenset({FieldType.CITY, FieldType.POSTCODE})
"""One nearly tells the other: a key of both and a birth date alone gave one person in 30 away."""


@dataclass(frozen=True)
class Rule:
    """What the scheme asks of a draft's match keys.

    Attributes:
        most_keys: so many at most.
        most_crowd: over all keys, how many others of the largest file share a key's values, or
            nearly, by chance, at most.
        coarse: whether a key may hold both city and postcode.
        spare_bits: so many more than log2 of the largest file's records a key's fields add up to.
    """

    most_keys: int
    most_crowd: float
    coarse: bool
    spare_bits: float = 3.0


RULES = {
    "saul-v1": Rule(most_keys=10, most_crowd=math.inf, coarse=True),
    "minhash-v1": Rule(most_keys=16, most_crowd=0.16, coarse=False),
}


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


def choose_keys(fields: CommonFields, rule: Rule) -> tuple[DraftKey, ...]:
    """Take keys greedily, where the crowd is bounded at the price for it that gets furthest.

    Raises:
        InputError: no set of fields satisfies the rule.
    """
    needed = math.log2(fields.rows) + rule.spare_bits
    allowed = _allowed(fields, needed, rule)
    prices = (0.0,) if math.isinf(rule.most_crowd) else CROWD_PRICES
    drafts = [_greedy(fields, allowed, needed, rule, price) for price in prices]
    keys = max(drafts, key=lambda keys: round(keys[-1].chance if keys else 0.0, 6))
    if not keys:
        raise InputError(
            f"no set of two to four common fields reaches the {needed:.1f} bits that files of this"
            " size need, and a few more under minhash-v1, holds a given or middle name or the birth"
            " date, and is not of names alone",
            remedy="Profile more fields that all the partners have",
        )
    return keys


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


def _allowed(fields: CommonFields, needed: float, rule: Rule) -> dict[tuple[str, ...], float]:
    """Every set of fields that satisfies the rule, with its bits."""
    bits = {name: field.bits for name, field in fields.told.items()}
    allowed = {}
    for size in SIZES:
        for names in combinations(fields.told, size):
            kinds = [fields.told[name].type for name in names]
            if not PERSON.intersection(kinds) or (not rule.coarse and set(kinds) >= COARSE):
                continue
            total = key_bits(names, bits, fields.dependent)
            of_names = all(kind.is_name for kind in kinds)
            if total >= needed + (NAMES_SPARE_BITS if of_names else 0.0):
                allowed[names] = total
    return allowed


def _greedy(
    fields: CommonFields,
    allowed: dict[tuple[str, ...], float],
    needed: float,
    rule: Rule,
    price: float,
) -> tuple[DraftKey, ...]:
    """Take keys one after the other, the most gain less the price of its crowd first.

    All sets of intact fields are weighed by their probability; a key is intact in every set that
    holds its fields. What a key adds is the probability of those that no key before it was in.
    """
    worlds = _worlds(fields, allowed)
    crowds = {key: _crowd(key, fields, bits) for key, bits in allowed.items()}
    chosen: list[DraftKey] = []
    chance = crowd = 0.0
    while len(chosen) < rule.most_keys:
        # What is left of the crowd that an attacker may know.
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
                intact=fields.intact(best),
                gain=gain,
                chance=chance,
            )
        )
        for world in worlds:
            world.take(best)
    return tuple(chosen)


def _crowd(key: Sequence[str], fields: CommonFields, bits: float) -> float:
    """How many others a key takes for the same person, or nearly: names are alike more often than
    they are equal, and in a key of several all of them may be.
    """
    names = sum(fields.told[name].type.is_name for name in key)
    alike = ALIKE_BITS * max(names - 1, 0)
    return float(fields.rows * 2.0 ** (alike - bits))


def _key_name(fields: Sequence[str], taken: set[str]) -> str:
    joined = "-".join(fields)
    name = joined if len(joined) <= 60 else "-".join(part[:14] for part in fields)
    return name if name not in taken else f"{name[:58]}-{len(taken)}"


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


def _worlds(fields: CommonFields, allowed: dict[tuple[str, ...], float]) -> list[_World]:
    """Pairs with their names in place, and pairs with given name and surname swapped."""
    places = {name: place for place, name in enumerate(fields.told)}
    masks = {key: sum(1 << places[name] for name in key) for key in allowed}
    shares = _shares(fields)
    # People and clerks mistake them for each other.
    given, surname = fields.first(FieldType.GIVEN_NAME), fields.first(FieldType.SURNAME)
    if given is None or surname is None:
        return [_World(shares, masks)]
    together = {key: mask for key, mask in masks.items() if (given in key) == (surname in key)}
    return [_World((1 - SWAPPED) * shares, masks), _World(SWAPPED * shares, together)]


def _shares(fields: CommonFields) -> npt.NDArray[np.float64]:
    """The probability that exactly the fields of a bit mask are intact, by mask."""
    by_pair = list(zip(*fields.chances.values(), strict=True))
    total = np.zeros(1 << len(fields.chances))
    for chances in by_pair:
        found = np.ones(1)
        for intact in chances:
            found = np.concatenate([found * (1 - intact), found * intact])
        total += found / len(by_pair)
    return total


def _sums_over_supersets(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For every mask the sum of the weights of all masks that hold it."""
    sums = weights.copy()
    for bit in range(len(weights).bit_length() - 1):
        halves = sums.reshape(-1, 2, 1 << bit)
        halves[:, 0] += halves[:, 1]
    return sums
