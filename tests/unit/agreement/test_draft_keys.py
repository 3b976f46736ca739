"""Which match keys are taken, and which are not allowed."""

from __future__ import annotations

import pytest

from linkage.agreement.draft_fields import common_fields
from linkage.agreement.draft_keys import RULES, choose_keys, key_bits
from linkage.errors import InputError
from tests.unit.agreement.profiles import profile


def test_a_dependent_field_counts_for_less() -> None:
    bits = {"zip": 9.0, "city": 5.0, "given": 8.0}
    assert key_bits(["city", "given", "zip"], bits, frozenset()) == 22.0
    assert key_bits(["city", "given", "zip"], bits, frozenset([frozenset(["city", "zip"])])) == 19.0


def test_files_whose_fields_tell_too_little_get_no_key() -> None:
    fields = common_fields([profile(name, given=8.0, zip=6.0) for name in ("one", "two")])
    with pytest.raises(InputError, match=r"15\.3 bits"):
        choose_keys(fields, RULES["minhash-v1"])
    nothing = common_fields([profile("one", given=8.0), profile("two", zip=6.0)])
    with pytest.raises(InputError, match=r"15\.3 bits"):
        choose_keys(nothing, RULES["minhash-v1"])


def test_minhash_bounds_whom_all_keys_together_confuse() -> None:
    """A sixth of another person over all keys, none of both city and postcode."""
    bits = {"given": 7.0, "surname": 7.0, "dob": 9.0, "city": 4.0, "zip": 5.0, "phone": 9.0}
    fields = common_fields([profile(name, **bits) for name in ("one", "two")])
    plain, bounded = (choose_keys(fields, RULES[name]) for name in ("saul-v1", "minhash-v1"))
    rows = fields.rows
    assert sum(rows * 2.0**-key.bits for key in plain) > 0.16
    # Names are alike more often than equal: a key of both counts four times.
    worth = {key: 4 if {"given", "surname"} <= set(key.fields) else 1 for key in bounded}
    assert 0 < sum(times * rows * 2.0**-key.bits for key, times in worth.items()) <= 0.16
    assert not any({"city", "zip"} <= set(key.fields) for key in bounded)


def test_a_key_that_too_many_share_is_none() -> None:
    """16.3 bits are enough under saul-v1; too many others share them, or nearly, under minhash."""
    both = [profile(name, given=7.0, surname=7.0, zip=2.3) for name in ("one", "two")]
    fields = common_fields(both)
    assert choose_keys(fields, RULES["saul-v1"])
    with pytest.raises(InputError, match=r"15\.3 bits"):
        choose_keys(fields, RULES["minhash-v1"])
