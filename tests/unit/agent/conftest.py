"""A manifest with one field of each kind that the agent treats differently."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from linkage.agreement import Manifest, parse_manifest

MakeManifest = Callable[..., Manifest]


@pytest.fixture
def make_manifest() -> MakeManifest:
    def make(partner: dict[str, Any] | None = None, **settings: Any) -> Manifest:
        north = {"name": "north", "record_id": "id", "columns": {"surname": "LAST"}}
        document = {
            "linkage": "manifest/1",
            "project": "county",
            "title": "T",
            "purpose": "P",
            "legal_basis": "L",
            "expires": "2099-01-01",
            "partners": [north | (partner or {}), {"name": "south"}],
            "recipients": [{"name": "bureau", "role": "assembler"}],
            "fields": [
                {"name": "given", "type": "given_name"},
                {"name": "surname", "type": "surname"},
                {"name": "dob", "type": "date_of_birth"},
            ],
            "match_keys": [
                {"name": "all", "fields": ["given", "surname", "dob"]},
                {"name": "surname-dob", "fields": ["surname", "dob"]},
            ],
            "scheme": {"name": "saul-v1", "bits": 1024},
        }
        return parse_manifest(json.dumps(document | settings).encode())

    return make
