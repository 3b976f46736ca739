"""What the partners agree to: fields, match keys, the manifest and its fingerprint."""

from linkage.agreement.clk import Clk
from linkage.agreement.content import ContentField, ContentTable, Transform
from linkage.agreement.content_profiles import ContentProfile
from linkage.agreement.fields import FieldType, IdentifierField, MatchKey
from linkage.agreement.manifest import Manifest
from linkage.agreement.parties import Partner, Recipient
from linkage.agreement.reading import parse_manifest
from linkage.agreement.scheme import Matching, Minhash, Saul, Scheme

__all__ = [
    "Clk",
    "ContentField",
    "ContentProfile",
    "ContentTable",
    "FieldType",
    "IdentifierField",
    "Manifest",
    "MatchKey",
    "Matching",
    "Minhash",
    "Partner",
    "Recipient",
    "Saul",
    "Scheme",
    "Transform",
    "parse_manifest",
]
