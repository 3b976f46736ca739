"""A seal opens for one key under one purpose, whole."""

from __future__ import annotations

import pytest

from linkage.errors import SealError, UntrustedKeyError
from linkage.trust.opening import SealingKey
from linkage.trust.sealing import (
    MLKEM_PUBLIC_BYTES,
    PUBLIC_KEY_BYTES,
    binding,
    check_public_key,
    seal,
)

KEY = SealingKey(bytes(range(96)))
INFO = binding("project secret", project="prairie", epoch=0)
SEALED = seal(KEY.public, b"thirty-two bytes of a real thing", INFO)


def test_what_is_sealed_opens() -> None:
    assert KEY.open(SEALED, INFO) == b"thirty-two bytes of a real thing"


def test_the_same_thing_sealed_twice_differs() -> None:
    assert seal(KEY.public, b"x", INFO) != seal(KEY.public, b"x", INFO)


def test_a_generated_key_opens_and_keeps_its_public_half() -> None:
    key = SealingKey.generate()
    assert key.open(seal(key.public, b"", INFO), INFO) == b""
    assert SealingKey(key.raw).public == key.public
    assert len(key.public) == PUBLIC_KEY_BYTES
    assert "raw" not in repr(key)


@pytest.mark.parametrize(
    "info",
    [
        b"",
        binding("project secret", project="prairie", epoch=1),
        binding("project secret", project="prairia", epoch=0),
        binding("parcel", project="prairie", epoch=0),
    ],
    ids=["none", "epoch", "project", "purpose"],
)
def test_it_does_not_open_for_another_purpose(info: bytes) -> None:
    with pytest.raises(SealError):
        KEY.open(SEALED, info)


def test_it_does_not_open_with_another_key() -> None:
    with pytest.raises(SealError):
        SealingKey.generate().open(SEALED, INFO)


@pytest.mark.parametrize("half", [0, 70], ids=["mlkem", "x25519"])
def test_half_of_the_key_is_not_enough(half: int) -> None:
    raw = bytearray(KEY.raw)
    raw[half] ^= 8
    with pytest.raises(SealError):
        SealingKey(bytes(raw)).open(SEALED, INFO)


@pytest.mark.parametrize("size", [0, 1, 32, 1087, 1119, 1120, 1135, len(SEALED) - 1])
def test_a_truncated_seal_does_not_open(size: int) -> None:
    with pytest.raises(SealError):
        KEY.open(SEALED[:size], INFO)


@pytest.mark.parametrize("place", [0, 500, 1090, 1119, 1120, len(SEALED) - 1])
def test_an_altered_seal_does_not_open(place: int) -> None:
    altered = bytearray(SEALED)
    altered[place] ^= 1
    with pytest.raises(SealError):
        KEY.open(bytes(altered), INFO)


def test_a_seal_with_something_behind_it_does_not_open() -> None:
    with pytest.raises(SealError):
        KEY.open(SEALED + b"\0", INFO)


def test_a_seal_with_a_worthless_share_does_not_open() -> None:
    """An all-zero X25519 share would make that half of the secret known to everybody."""
    with pytest.raises(SealError):
        KEY.open(SEALED[:1088] + bytes(32) + SEALED[1120:], INFO)


@pytest.mark.parametrize(
    "public",
    [
        b"",
        KEY.public[:-1],
        KEY.public + b"\0",
        b"\xff" * MLKEM_PUBLIC_BYTES + KEY.public[MLKEM_PUBLIC_BYTES:],
        KEY.public[:MLKEM_PUBLIC_BYTES] + bytes(32),
        KEY.public[:MLKEM_PUBLIC_BYTES] + b"\1" + bytes(31),
    ],
    ids=["empty", "short", "long", "mlkem", "x25519 zero", "x25519 one"],
)
def test_a_malformed_public_key_is_refused(public: bytes) -> None:
    with pytest.raises(UntrustedKeyError):
        check_public_key(public)
    with pytest.raises(UntrustedKeyError):
        seal(public, b"x", INFO)


def test_purpose_and_circumstances_are_bound_unambiguously() -> None:
    assert binding("a", b="c") == b'linkage/v1 seal\0{"b":"c","kind":"a"}'
    assert binding("a", b="c", d="e") != binding("a", b='c","d":"e')
