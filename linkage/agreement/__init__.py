"""What the partners agree to: fields, match keys, the manifest and its fingerprint."""

from linkage.agreement.fields import FieldType, IdentifierField, MatchKey
from linkage.agreement.manifest import (
    Clk,
    ContentField,
    ContentTable,
    Manifest,
    Matching,
    Partner,
    Recipient,
    Saul,
    Transform,
    parse_manifest,
)

__all__ = [
    "Clk",
    "ContentField",
    "ContentTable",
    "FieldType",
    "IdentifierField",
    "Manifest",
    "MatchKey",
    "Matching",
    "Partner",
    "Recipient",
    "Saul",
    "Transform",
    "parse_manifest",
]
