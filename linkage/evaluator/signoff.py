"""Sign-offs: two checkers say that an extract may leave.

A checker reads the extract that waits, and signs the digest of its list of checksums with a key
that stands in the manifest. The assembler finishes the extract only with two of them, and only if
what it makes is, byte for byte, what they signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from linkage.agreement import Manifest
from linkage.agreement.canonical import canonical
from linkage.agreement.fields import Name, Strict
from linkage.errors import AgreementError, InputError
from linkage.evaluator.extract import digest_of, verify_extract
from linkage.files import read_bounded
from linkage.trust.headers import Digest
from linkage.trust.signing import sign, verify
from linkage.trust.statements import sign_off_statement

CHECKERS = 2
MAX_BYTES = 65_536


class SignOff(Strict):
    """A checker's signature on an extract."""

    linkage: str = "sign-off/1"
    checker: Name
    extract: Digest
    signature: str


def sign_off(directory: Path, checker: str, key: Ed25519PrivateKey) -> bytes:
    """A checker's sign-off of an extract, for the assembler.

    Raises:
        DigestMismatchError: the extract is not what was written.
        AgreementError: its manifest does not name this checker with this key.
    """
    verify_extract(directory)
    manifest = Manifest.model_validate_json((directory / "manifest.json").read_bytes())
    public = key.public_key().public_bytes_raw().hex()
    if not any(one.name == checker and one.key == public for one in manifest.disclosure.checkers):
        raise AgreementError(
            f"the manifest of project {manifest.project!r} names no checker {checker!r} with this"
            " key",
            remedy="Its disclosure.checkers say who may; see: linkage evaluator checker-key",
        )
    said: dict[str, Any] = json.loads((directory / "provenance.json").read_bytes())
    extract = digest_of(directory)
    statement = sign_off_statement(
        manifest.fingerprint, said["release"], said["recipient"], extract, checker
    )
    signature = sign(key, statement).hex()
    return canonical(SignOff(checker=checker, extract=extract, signature=signature).model_dump())


def read_sign_off(path: Path) -> SignOff:
    """Raises InputError unless a file holds one."""
    try:
        found = SignOff.model_validate_json(read_bounded(path, MAX_BYTES))
        bytes.fromhex(found.signature)
    except (ValidationError, ValueError):
        raise InputError(f"{path} is not a sign-off") from None
    return found


def require_signed_off(
    manifest: Manifest, release: str, recipient: str, extract: str, given: Iterable[SignOff]
) -> None:
    """Let an extract leave only if as many checkers as the manifest asks for signed it.

    Raises:
        AgreementError: they are too few, or they signed another extract.
        SignatureError: a signature is not its checker's.
    """
    if not manifest.disclosure.two_checkers:
        return
    keys = {one.name: bytes.fromhex(one.key) for one in manifest.disclosure.checkers}
    signed, others = set(), set()
    for one in given:
        if one.checker not in keys:
            continue
        if one.extract != extract:
            others.add(one.checker)
            continue
        statement = sign_off_statement(
            manifest.fingerprint, release, recipient, extract, one.checker
        )
        signature = bytes.fromhex(one.signature)
        verify(keys[one.checker], signature, statement, what="the extract", by=one.checker)
        signed.add(one.checker)
    if len(signed) < CHECKERS:
        text = f"the extract is signed off by {', '.join(sorted(signed)) or 'nobody'}"
        if others:
            text += f"; {', '.join(sorted(others))} signed another extract"
        raise AgreementError(
            f"{text}, and the manifest asks for two checkers",
            remedy="Two of "
            f"{', '.join(sorted(keys))} must read what waits and run: linkage evaluator sign-off",
        )
