"""Fingerprints as people read them out: a word that was misheard is named, never pinned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.errors import TrustError
from linkage.trust.fingerprints import WORDS, described, pairs, parse, qr, words
from linkage.trust.signing import grouped

PRINT = bytes(range(32)).hex()
# From the reference implementation of BIP-39.
KNOWN = (
    "abandon amount liar amount expire adjust cage candy arch gather drum bullet absurd math era"
    " live bid rhythm alien crouch range attend journey unaware"
)


def test_the_words_are_those_of_bip_39() -> None:
    assert " ".join(words(PRINT)) == KNOWN
    assert words("00" * 32) == ["abandon"] * 23 + ["art"]
    assert words("ff" * 32) == ["zoo"] * 23 + ["vote"]


@given(st.binary(min_size=32, max_size=32))
def test_every_form_leads_back(raw: bytes) -> None:
    digest = raw.hex()
    assert parse(" ".join(words(digest))) == digest
    assert parse(", ".join(words(digest)).upper()) == digest
    assert parse(grouped(digest)) == parse(digest.upper()) == digest
    assert parse(grouped(digest).replace("-", " ")) == digest


def test_a_word_that_is_none_is_named_with_its_neighbours() -> None:
    said = KNOWN.split()
    said[4] = "expiree"
    with pytest.raises(TrustError, match="word 5 is not on the list") as caught:
        parse(" ".join(said))
    assert "expire" in str(caught.value)


@pytest.mark.parametrize("change", ["exchanged", "misheard"])
def test_words_that_do_not_fit_are_refused(change: str) -> None:
    said = KNOWN.split()
    if change == "exchanged":
        said[2], said[4] = said[4], said[2]
    else:
        said[11] = "bus"
    with pytest.raises(TrustError, match="misheard"):
        parse(" ".join(said))


@pytest.mark.parametrize("text", ["", "ab" * 31, "g" * 64, " ".join(["abandon"] * 23)])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(TrustError, match="64 hexadecimal digits, or 24 words"):
        parse(text)


def test_pairs_are_told_apart() -> None:
    other = "cd" * 32
    typed = ["sheriff", *KNOWN.split(), "health", grouped(other), "data", other]
    typed += ["social", *grouped(other).split("-"), "county", KNOWN]
    assert pairs(typed) == {
        "sheriff": PRINT,
        "health": other,
        "data": other,
        "social": other,
        "county": PRINT,
    }
    with pytest.raises(TrustError, match="'health' is missing"):
        pairs([*typed[:25], "health"])
    with pytest.raises(TrustError, match="of 'health' is wrong"):
        pairs(["sheriff", other, "health", *KNOWN.split()[:-1]])


def test_all_are_shown_alike() -> None:
    text = described(PRINT)
    assert text.splitlines()[0] == grouped(PRINT)
    assert [word for word in text.split() if word.isalpha()] == KNOWN.split()
    assert f"{WORDS} unaware" in text
    assert qr(PRINT).count("\n") > 10
