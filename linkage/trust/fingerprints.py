"""A fingerprint as people compare it: 64 hex digits, 24 words, or a QR code.

The words are BIP-39: each stands for eleven bits, and eight bits of a checksum are among them, so
that a word that was misheard is noticed before it is pinned.
"""

from __future__ import annotations

import difflib
import io
import re
from functools import cache

from mnemonic import Mnemonic

from linkage.errors import TrustError
from linkage.trust.signing import grouped

WORDS = 24
_GROUPED = re.compile(r"^[0-9a-f]{4}$")
_SHORTEST_HEX = 20


@cache
def _mnemonic() -> Mnemonic:
    return Mnemonic("english")


def words(digest: str) -> list[str]:
    """The 24 words of a fingerprint."""
    return str(_mnemonic().to_mnemonic(bytes.fromhex(digest))).split()


def described(digest: str) -> str:
    """A fingerprint as every command shows it: in groups, then in words, six to a line."""
    found = words(digest)
    lines = [
        "  ".join(f"{n + 1:>2} {found[n]:<8}" for n in range(start, start + 6)).rstrip()
        for start in range(0, WORDS, 6)
    ]
    return "\n".join([grouped(digest), "", *lines])


def qr(digest: str) -> str:
    """A QR code of the hex digits for a terminal, half a line high per row."""
    import segno

    out = io.StringIO()
    segno.make(digest.upper(), error="m", micro=False).terminal(out, border=2, compact=True)
    return out.getvalue()


def parse(text: str) -> str:
    """A fingerprint as typed or dictated, as 64 hex digits.

    Raises:
        TrustError: neither 64 hexadecimal digits nor 24 words; names the word that is wrong.
    """
    said = text.lower().replace(",", " ").split()
    if len(said) == WORDS:
        return _from_words(said)
    digest = "".join(said).replace("-", "")
    if len(digest) != 64 or any(c not in "0123456789abcdef" for c in digest):
        raise TrustError(
            "a fingerprint has 64 hexadecimal digits, or 24 words",
            remedy=f"This has {len(said)} words" if len(said) > 1 else None,
        )
    return digest


def _from_words(said: list[str]) -> str:
    known = set(_mnemonic().wordlist)
    wrong = [(n, word) for n, word in enumerate(said, 1) if word not in known]
    if wrong:
        number, word = wrong[0]
        near = difflib.get_close_matches(word, _mnemonic().wordlist, 3, 0.6)
        raise TrustError(
            f"word {number} is not on the list of words",
            remedy=f"Did you hear {' or '.join(near)}?" if near else "Ask for it again",
        )
    try:
        return bytes(_mnemonic().to_entropy(said)).hex()
    except ValueError:
        raise TrustError(
            "the words do not fit each other: one was misheard, left out or exchanged",
            remedy="Have all 24 read again",
        ) from None


def pairs(typed: list[str]) -> dict[str, str]:
    """Names and fingerprints from the words of a command line: NAME, then its fingerprint as one
    word, as sixteen groups of four digits, or as 24 words; and so on.

    Raises:
        TrustError: a name has no fingerprint, or a fingerprint is wrong; names whose.
    """
    found: dict[str, str] = {}
    rest = list(typed)
    while rest:
        name = rest.pop(0)
        if not rest:
            raise TrustError(f"the fingerprint of {name!r} is missing")
        if len(rest[0]) >= _SHORTEST_HEX:
            taken = 1
        elif len(rest) >= 16 and all(_GROUPED.match(word.lower()) for word in rest[:16]):
            taken = 16
        else:
            taken = min(WORDS, len(rest))
        try:
            found[name] = parse(" ".join(rest[:taken]))
        except TrustError as error:
            message = f"the fingerprint of {name!r} is wrong: {error.message}"
            raise TrustError(message, remedy=error.remedy) from None
        del rest[:taken]
    return found
