"""Propose a manifest from the partners' value-free profiles. No truth is needed.

The rule is explained in docs/explanation/draft-manifest.md; what the fields tell is weighed in
`draft_fields`, match keys are taken in `draft_keys`.

Pure: profiles in, manifest and reasons out; the same profiles in any order give the same keys.

    draft = draft_manifest(profiles, Terms(project="county", title="...", ...))
    draft.manifest.canonical
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from linkage.agreement.draft_fields import CommonFields, common_fields
from linkage.agreement.draft_keys import FEWEST_KEYS, RULES, DraftKey, Rule, choose_keys
from linkage.agreement.fields import FieldType
from linkage.agreement.governance import QUESTIONS, TO_BE_WRITTEN
from linkage.agreement.manifest import Manifest
from linkage.agreement.parties import Partner
from linkage.agreement.profile import Profile
from linkage.agreement.reading import parse_manifest
from linkage.agreement.scheme import MOST_PAIRS, Matching

_LEAST_QUOTA = 2


@dataclass(frozen=True)
class Terms:
    """What a manifest says that no profile can tell.

    Attributes:
        scheme: a name in `draft_keys.RULES`.
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


def draft_manifest(profiles: Sequence[Profile], terms: Terms, rule: Rule | None = None) -> Draft:
    """Propose fields, weights, match keys and groups for partners with these profiles.

    Args:
        rule: for match keys; None takes the scheme's own.

    Raises:
        InputError: fewer than two partners, one named twice, a field of two types, or no set of
            fields that satisfies the rule.
        ManifestError: the terms make no valid manifest.
    """
    fields = common_fields(profiles)
    keys = choose_keys(fields, rule or RULES[terms.scheme])
    groups = fields.groups()
    return Draft(
        manifest=_manifest(profiles, terms, fields, keys, groups),
        fields=tuple(
            DraftField(name, field.type, field.bits, fields.intact([name]))
            for name, field in fields.told.items()
        ),
        keys=keys,
        groups=groups,
        notes=(*fields.notes, *_notes(fields, keys)),
    )


def _notes(fields: CommonFields, keys: Sequence[DraftKey]) -> list[str]:
    """What the partners should know of the match keys."""
    notes = []
    if len(keys) < FEWEST_KEYS:
        notes.append(
            f"only {len(keys)} match keys satisfy the rule and add anything; eight are usual."
            " More fields that all the partners have would help"
        )
    used = {name for key in keys for name in key.fields}
    if idle := [name for name in fields.told if name not in used]:
        notes.append(f"in no match key, compared for single pairs only: {', '.join(idle)}")
    return notes


def _manifest(
    profiles: Sequence[Profile],
    terms: Terms,
    fields: CommonFields,
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
        "partners": [_partner(profile.partner, fields.told) for profile in profiles],
        "recipients": [{"name": terms.assembler, "role": "assembler"}],
        "fields": [
            field.identifier.model_dump(mode="json", exclude_defaults=True)
            for field in fields.told.values()
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


def _swaps(fields: CommonFields) -> list[tuple[str, str]]:
    """Names that may stand in each other's place: given name and surname swapped, a surname kept
    as middle name, a middle name used as given name.
    """
    pairs = [
        (fields.first(one), fields.first(other))
        for one, other in (
            (FieldType.GIVEN_NAME, FieldType.SURNAME),
            (FieldType.MIDDLE_NAME, FieldType.SURNAME),
            (FieldType.GIVEN_NAME, FieldType.MIDDLE_NAME),
        )
    ]
    return [(one, other) for one, other in pairs if one is not None and other is not None]


def _partner(partner: Partner, used: Collection[str]) -> dict[str, Any]:
    """What the partner said of itself; of its fields, only what is said of those kept."""
    found = partner.model_dump(mode="json", exclude_defaults=True)
    return {
        setting: {k: v for k, v in value.items() if k in used} if isinstance(value, dict) else value
        for setting, value in found.items()
    }
