"""New keys that the old ones vouch for.

A rotation is a statement that names a party, the fingerprint of its former keys and that of its
new ones, signed by the former signing key and by the new one. It tells who trusts the former keys
that their holder made the new ones, or somebody who stole them: so it is shown, and never believed
in place of a comparison.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Name, Strict
from linkage.errors import InvalidRequestError, LinkageError, SignatureError
from linkage.trust.headers import Digest
from linkage.trust.signing import key_fingerprint, verify

MAX_STATEMENT_BYTES = 2048


class RotationStatement(Strict):
    """What both keys sign."""

    kind: Literal["rotation"] = "rotation"
    party: Name
    former: Digest
    fingerprint: Digest

    @property
    def canonical(self) -> bytes:
        return canonical(self.model_dump())

    @classmethod
    def parse(cls, data: bytes) -> RotationStatement:
        """Raises InvalidRequestError unless `data` is a canonical statement."""
        try:
            found = cls.model_validate_json(data[: MAX_STATEMENT_BYTES + 1])
        except ValidationError:
            raise InvalidRequestError("the statement of a rotation is malformed") from None
        if found.canonical != data:
            raise InvalidRequestError("the statement of a rotation is not canonical JSON")
        return found


@dataclass(frozen=True)
class Rotation:
    """One change of keys.

    Attributes:
        signing_key, sealing_key: the former ones.
        signature: by the former signing key.
        proof: by the new one.
    """

    statement: bytes
    signing_key: bytes
    sealing_key: bytes
    signature: bytes
    proof: bytes

    def require(self, party: str, signing_key: bytes, sealing_key: bytes) -> None:
        """Check that it leads from its former keys to the given ones.

        Raises:
            InvalidRequestError, SignatureError: it does not.
        """
        said = RotationStatement.parse(self.statement)
        if said != RotationStatement(
            party=party,
            former=key_fingerprint(self.signing_key, self.sealing_key),
            fingerprint=key_fingerprint(signing_key, sealing_key),
        ):
            raise SignatureError("the rotation is of other keys than those it comes with")
        what = "the change of keys"
        verify(self.signing_key, self.signature, self.statement, what=what, by=party)
        verify(signing_key, self.proof, self.statement, what=what, by=party)


def vouched_for(
    party: str, pinned: str, signing_key: bytes, sealing_key: bytes, rotations: Iterable[Rotation]
) -> bool:
    """Whether the keys of a pinned fingerprint vouch, step by step, for the given ones.

    Args:
        rotations: oldest first.
    """
    newer = (signing_key, sealing_key)
    for one in reversed(list(rotations)):
        try:
            one.require(party, *newer)
        except LinkageError:
            return False
        newer = (one.signing_key, one.sealing_key)
        if key_fingerprint(*newer) == pinned:
            return True
    return False
