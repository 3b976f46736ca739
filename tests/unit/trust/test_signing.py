"""A signature holds for one key, one kind of statement and exactly these bytes."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.errors import SignatureError, TrustError
from linkage.trust.signing import grouped, key_fingerprint, sign, statement, verify
from linkage.trust.statements import manifest_statement

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
DATA = manifest_statement("prairie", "a" * 64, "sheriff")


def _verify(public: bytes, signature: bytes, data: bytes) -> None:
    verify(public, signature, data, what="the manifest", by="sheriff")


def test_a_signature_holds() -> None:
    _verify(PUBLIC, sign(KEY, DATA), DATA)


@pytest.mark.parametrize("place", range(0, 64, 7))
def test_an_altered_signature_does_not_hold(place: int) -> None:
    signature = bytearray(sign(KEY, DATA))
    signature[place] ^= 1
    with pytest.raises(SignatureError, match="'sheriff' on the manifest"):
        _verify(PUBLIC, bytes(signature), DATA)


@pytest.mark.parametrize("place", range(len(DATA)))
def test_no_byte_of_what_is_signed_can_change(place: int) -> None:
    altered = bytearray(DATA)
    altered[place] ^= 1
    with pytest.raises(SignatureError):
        _verify(PUBLIC, sign(KEY, DATA), bytes(altered))


def test_another_key_does_not_hold() -> None:
    with pytest.raises(SignatureError):
        _verify(Ed25519PrivateKey.generate().public_key().public_bytes_raw(), sign(KEY, DATA), DATA)


def test_a_signature_of_another_kind_does_not_hold() -> None:
    """The same fields under another kind are other bytes."""
    fields = {"project": "prairie", "fingerprint": "a" * 64, "partner": "sheriff"}
    assert statement("manifest", **fields) == DATA
    with pytest.raises(SignatureError):
        _verify(PUBLIC, sign(KEY, statement("release", **fields)), DATA)


def test_a_signature_without_our_context_does_not_hold() -> None:
    """What another program signed with this key is worth nothing here."""
    with pytest.raises(SignatureError):
        _verify(PUBLIC, KEY.sign(DATA), DATA)


@pytest.mark.parametrize("public", [b"", b"\0" * 31, b"\0" * 33, b"\xff" * 32])
def test_a_malformed_key_is_a_signature_error(public: bytes) -> None:
    with pytest.raises(SignatureError):
        _verify(public, sign(KEY, DATA), DATA)


@pytest.mark.parametrize("signature", [b"", b"\0" * 63, b"\0" * 64, b"\0" * 65])
def test_a_malformed_signature_is_a_signature_error(signature: bytes) -> None:
    with pytest.raises(SignatureError):
        _verify(PUBLIC, signature, DATA)


def test_the_message_shows_neither_key_nor_signature() -> None:
    signature = sign(KEY, b"other")
    with pytest.raises(SignatureError) as caught:
        _verify(PUBLIC, signature, DATA)
    assert signature.hex() not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_fingerprint_covers_both_keys() -> None:
    one = key_fingerprint(PUBLIC, b"sealing")
    assert one != key_fingerprint(PUBLIC, b"sealinG")
    assert one != key_fingerprint(b"\1" + PUBLIC[1:], b"sealing")
    assert len(one) == 64
    with pytest.raises(TrustError):
        key_fingerprint(PUBLIC + b"s", b"ealing")


def test_a_fingerprint_is_read_aloud_in_groups_of_four() -> None:
    assert grouped("0123456789ab") == "0123-4567-89ab"
