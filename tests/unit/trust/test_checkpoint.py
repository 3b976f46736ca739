"""Checkpoints as signed notes: what the key signed is read, and nothing else."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.errors import LogInconsistentError, TrustError
from linkage.trust.checkpoint import LogKey, LogVerifier, log_name

KEY = LogKey(log_name("prairie"), Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = LogKey("prairie/log", Ed25519PrivateKey.generate())
ROOT = bytes(range(32))


def test_the_key_is_one_line_that_reads_back() -> None:
    line = KEY.verifier.line
    assert line.startswith("prairie/log+")
    assert LogVerifier.parse(line + "\n") == KEY.verifier
    assert LogKey.load("prairie/log", KEY.private).verifier == KEY.verifier


def test_keys_and_signatures_are_those_of_other_logs() -> None:
    """The key of Go's checksum database, and the example of Go's package for signed notes."""
    line = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert LogVerifier.parse(line).line == line
    example = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    text = (
        b"If you think cryptography is the answer to your problem,\n"
        b"then you don't know what your problem is.\n"
    )
    signature = (
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"
        "ngotpRZb6KE6RyyBwJnAM="
    )
    assert LogVerifier.parse(example)._signed(text, signature.encode())
    assert not LogVerifier.parse(example)._signed(text + b"\n", signature.encode())


def test_a_signed_checkpoint_is_read() -> None:
    made = KEY.sign(42, ROOT)
    text, blank, signature = made.note.decode().partition("\n\n")
    assert blank
    assert text == f"prairie/log\n42\n{base64.b64encode(ROOT).decode()}"
    assert signature.startswith("— prairie/log ")
    assert KEY.verifier.open(made.note) == made
    # Other keys may have signed too, and lines may follow the root.
    cosigned = made.note + OTHER.sign(42, ROOT).note.rpartition(b"\n\n")[2]
    found = KEY.verifier.open(cosigned)
    assert found.same_as(made)


def _changed() -> list[bytes]:
    note = KEY.sign(42, ROOT).note
    text, _, signature = note.partition(b"\n\n")
    other = LogKey("other/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    return [
        b"",
        text,
        text + b"\n\n",
        note.replace(b"\n42\n", b"\n43\n"),
        note.replace(b"\n42\n", b"\n042\n"),
        note.replace(b"prairie/log\n", b"prairie/lag\n"),
        note + b"\n\n",
        note.replace("—".encode(), b"-"),
        text + b"\nmore\n\n" + signature,
        OTHER.sign(42, ROOT).note,
        other.sign(42, ROOT).note,
        b"x" * 5000,
        b"\xff" + note,
    ]


@pytest.mark.parametrize("note", _changed())
def test_what_the_key_did_not_sign_is_refused(note: bytes) -> None:
    with pytest.raises(LogInconsistentError):
        KEY.verifier.open(note)


@pytest.mark.parametrize("size", ["-1", "01", "1.0", "9" * 17, ""])
def test_a_signed_note_that_is_no_checkpoint_is_refused(size: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    text = f"prairie/log\n{size}\n{base64.b64encode(ROOT).decode()}\n".encode()
    signature = base64.b64encode(KEY.verifier.tag + key.sign(text)).decode()
    with pytest.raises(LogInconsistentError):
        KEY.verifier.open(text + f"\n— prairie/log {signature}\n".encode())


@pytest.mark.parametrize(
    "line",
    ["", "prairie/log", "prairie/log+00000000+AAAA", "a b+00000000+" + "A" * 44, "+x+y", "é"],
)
def test_what_is_no_key_is_refused(line: str) -> None:
    with pytest.raises(TrustError):
        LogVerifier.parse(line)


def test_a_key_under_another_name_is_refused() -> None:
    with pytest.raises(TrustError, match="does not fit"):
        LogVerifier.parse(KEY.verifier.line.replace("prairie/", "desert/"))
