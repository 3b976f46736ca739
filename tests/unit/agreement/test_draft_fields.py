"""What fields tell, over the profiles of several partners."""

from __future__ import annotations

import pytest

from linkage.agreement.draft_fields import common_fields
from linkage.agreement.fields import FieldType
from linkage.agreement.profile import Profile
from linkage.errors import InputError
from tests.unit.agreement.profiles import profile


def test_fields_that_only_some_have_are_left_out_and_named() -> None:
    one = profile("one", given=8.0, dob=12.0, zip=9.0, phone=12.0)
    two = profile("two", given=8.0, dob=12.0, zip=9.0)
    fields = common_fields([one, two])
    assert fields.notes == ("not in every profile, so left out: phone",)
    assert set(fields.told) == {"given", "dob", "zip"}


def test_fields_that_tell_nothing_are_left_out_and_named() -> None:
    fields = common_fields([profile(name, given=8.0, sex=0.0) for name in ("one", "two")])
    assert fields.notes == ("empty or always the same, so left out: sex",)
    assert set(fields.told) == {"given"}


def test_profiles_that_do_not_fit_together() -> None:
    one, two = profile("one", given=8.0), profile("two", given=8.0)
    with pytest.raises(InputError, match="two partners"):
        common_fields([one])
    with pytest.raises(InputError, match="two profiles are of the partner 'one'"):
        common_fields([one, one])
    other = two.model_dump(mode="json")
    other["fields"][0]["type"] = "surname"
    with pytest.raises(InputError, match="do not agree on the type of field 'given'"):
        common_fields([one, Profile.model_validate(other)])


def test_a_small_file_says_nothing_of_a_field_but_its_own_size() -> None:
    """200 records with 200 surnames do not say that surnames have 7.6 bits."""
    small = profile("small", rows=200, given=6.0, surname=7.6, dob=7.6)
    large = profile("large", rows=50_000, given=7.0, surname=9.0, dob=14.0)
    fields = common_fields([small, large])
    assert fields.rows == 50_000
    assert {name: field.bits for name, field in fields.told.items()} == {
        "given": 6.0,
        "surname": 9.0,
        "dob": 14.0,
    }


def test_a_field_is_intact_where_both_files_have_it_and_it_is_alike() -> None:
    whole, half = profile("one", given=8.0, zip=9.0), profile("two", given=8.0, zip=9.0)
    figures = half.model_dump(mode="json")
    figures["fields"][0]["missing"] = 0.5
    fields = common_fields([whole, Profile.model_validate(figures)])
    assert fields.intact(["given"]) == pytest.approx(0.75 * 0.5)
    assert fields.intact(["given", "zip"]) == pytest.approx(0.75 * 0.5 * 0.75)


def test_what_a_household_shares_is_one_group() -> None:
    bits = {"given": 7.0, "surname": 9.0, "dob": 9.0, "city": 4.0, "zip": 5.0, "phone": 9.0}
    fields = common_fields([profile(name, **bits) for name in ("one", "two")])
    assert fields.dependent == {frozenset({"city", "zip"})}
    assert fields.groups() == (("surname", "phone", "city", "zip"),)
    assert fields.first(FieldType.POSTCODE) == "zip"
    assert fields.first(FieldType.SEX) is None
