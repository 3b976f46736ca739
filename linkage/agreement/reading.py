"""Read a manifest from JSON, and say of everything wrong in it where it is and what to do."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from linkage.agreement.audits import AuditException, AuditPolicy
from linkage.agreement.budgets import Budget, Budgets, ProjectBudget
from linkage.agreement.clk import Clk
from linkage.agreement.content import ContentField, ContentTable
from linkage.agreement.disclosure import CheckerKey, Coarser, CountTable, Disclosure
from linkage.agreement.fields import IdentifierField, MatchKey, Strict
from linkage.agreement.governance import Governance
from linkage.agreement.lookups import CodeList, FieldLookup, PlaceList, PopulationTable
from linkage.agreement.manifest import Manifest
from linkage.agreement.parties import Partner, Recipient, StewardKey, Stratum
from linkage.agreement.policies import Policy, PolicyTag
from linkage.agreement.safeguards import Safeguards
from linkage.agreement.scheme import Matching, Minhash, Saul
from linkage.errors import ManifestError

MAX_MANIFEST_BYTES = 1 << 20


def parse_manifest(data: bytes, *, source: str = "manifest") -> Manifest:
    """Read a manifest from JSON.

    Args:
        data: UTF-8 JSON, at most 1 MiB.
        source: how messages name it.

    Raises:
        ManifestError: not JSON, a duplicate or unknown setting, or a wrong value; names every
            place and what to do.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{source} is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        document = json.loads(data, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ManifestError(f"{source} is not valid JSON: {place}: {error.msg}") from None
    except (ValueError, RecursionError):
        # Not UTF-8, a number of thousands of digits, or nested without end.
        raise ManifestError(f"{source} is not valid JSON in UTF-8") from None
    except ManifestError as error:
        raise ManifestError(f"{source}: {error.message}", remedy=error.remedy) from None
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        raise ManifestError(_explain(source, error)) from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ManifestError(
                f"setting {name!r} is given twice in one object", remedy="Keep one of them"
            )
        found[name] = value
    return found


_MODELS: dict[str, type[Strict]] = {
    "partners": Partner,
    "content": ContentTable,
    "recipients": Recipient,
    "governance": Governance,
    "policies": Policy,
    "policy_tags": PolicyTag,
    "safeguards": Safeguards,
    "audit": AuditPolicy,
    "exceptions": AuditException,
    "disclosure": Disclosure,
    "tables": CountTable,
    "checkers": CheckerKey,
    "coarser": Coarser,
    "budgets": Budgets,
    "partner": Budget,
    "project": ProjectBudget,
    "stewards": StewardKey,
    "strata": Stratum,
    "lookup": FieldLookup,
    "places": PlaceList,
    "crosswalk": CodeList,
    "zip3": PopulationTable,
    "fields": IdentifierField,
    "match_keys": MatchKey,
    "matching": Matching,
    "minhash-v1": Minhash,
    "saul-v1": Saul,
    "clk-v1": Clk,
}


def _settings_at(place: Sequence[str | int]) -> list[str]:
    """The settings that an object at a place of the manifest may have."""
    names = [part for part in place if isinstance(part, str)]
    if "content" in names and names[-1] == "fields":
        return list(ContentField.model_fields)
    return list((_MODELS.get(names[-1], Manifest) if names else Manifest).model_fields)


def _explain(source: str, error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        if item["type"] == "default_factory_not_called":
            continue  # follows from another one
        place = ".".join(str(part) for part in item["loc"]) or "manifest"
        if item["type"] == "extra_forbidden":
            setting = str(item["loc"][-1])
            close = difflib.get_close_matches(setting, _settings_at(item["loc"][:-1]), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "; remove it"
            lines.append(f"{source}: {place}: unknown setting{hint}")
        else:
            texts = item["msg"].removeprefix("Value error, ").split("\n")
            lines += [f"{source}: {place}: {text}" for text in texts]
    return "\n".join(lines)
