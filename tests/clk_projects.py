"""Manifests of projects whose records are encoded by a clkhash linkage schema."""

from __future__ import annotations

import json
from typing import Any

from linkage.agreement import Manifest, parse_manifest

SCHEMA: dict[str, Any] = {
    "version": 3,
    "clkConfig": {"l": 1024, "kdf": {"type": "HKDF", "info": "c2NoZW1h"}},
    "features": [
        {"identifier": "INDEX", "ignored": True},
        {
            "identifier": "NAME freetext",
            "format": {"type": "string", "maxLength": 40, "case": "lower"},
            "hashing": {
                "comparison": {"type": "ngram", "n": 2},
                "strategy": {"bitsPerFeature": 200},
            },
        },
        {
            "identifier": "DOB YYYY/MM/DD",
            "format": {"type": "date", "format": "%Y/%m/%d"},
            "hashing": {
                "comparison": {"type": "ngram", "n": 1, "positional": True},
                "strategy": {"bitsPerToken": 20},
                "missingValue": {"sentinel": "NA", "replaceWith": ""},
            },
        },
        {
            "identifier": "city",
            "format": {"type": "string"},
            "hashing": {"comparison": {"type": "exact"}, "strategy": {"bitsPerToken": 60}},
        },
    ],
}
FEATURES = {"name": "NAME freetext", "dob": "DOB YYYY/MM/DD"}


def document_of(
    schema: dict[str, Any] | None = None, *, scheme: dict[str, Any] | None = None, **settings: Any
) -> dict[str, Any]:
    """A manifest, as JSON; by default of SCHEMA, whose features are name, dob and city.

    With another schema the fields are f0, f1, ... by their places in it.

    Args:
        scheme: settings of the scheme that differ.
    """
    names = FEATURES | {"city": "city"}
    if schema is not None:
        names = {
            f"f{place}": feature["identifier"]
            for place, feature in enumerate(schema["features"])
            if not feature.get("ignored")
        }
    document: dict[str, Any] = {
        "linkage": "manifest/1",
        "project": "county",
        "title": "T",
        "purpose": "P",
        "legal_basis": "L",
        "expires": "2099-01-01",
        "partners": [{"name": "north", "record_id": "id"}, {"name": "south", "record_id": "id"}],
        "recipients": [{"name": "bureau", "role": "assembler"}],
        "fields": [{"name": name, "type": "exact"} for name in names],
        "match_keys": [{"name": "clk", "fields": list(names)}],
        "scheme": {
            "name": "clk-v1",
            "linkage_schema": SCHEMA if schema is None else schema,
            "features": {
                name: identifier for name, identifier in names.items() if name != identifier
            },
            "risk_acknowledged": True,
            **(scheme or {}),
        },
    }
    return document | settings


def manifest_of(schema: dict[str, Any] | None = None, **settings: Any) -> Manifest:
    """See `document_of`."""
    return parse_manifest(json.dumps(document_of(schema, **settings)).encode())
