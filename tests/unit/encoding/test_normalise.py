"""One spelling per person, whatever the file looked like."""

from __future__ import annotations

import time
from datetime import date

import numpy as np
import phonenumbers
import pytest

from linkage.agreement import FieldType, IdentifierField
from linkage.encoding import DEFAULT_DATE_FORMATS, normalise_column
from linkage.errors import InputError, ManifestError


def one(kind: str, cell: str | None, *, region: str = "US", **kwargs) -> str | None:
    field = IdentifierField(name="f", type=FieldType(kind), region=region)
    return normalise_column(field, [cell], **kwargs).values[0]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("  O'Brien ", "obrien"),
        ("O’BRIEN", "obrien"),
        ("O Brien", "obrien"),
        ("Smith-Jones", "smith jones"),
        ("Smith\u2010Jones", "smith jones"),
        ("José", "jose"),
        ("Jose\u0301", "jose"),
        ("JOSÉ", "jose"),
        ("Müller", "muller"),
        ("Weiß", "weiss"),
        ("Łukasz Ørsted", "lukasz orsted"),
        ("Ｙａｍａｄａ", "yamada"),
        ("ﬁona", "fiona"),
        ("İpek", "ipek"),
        ("Zo\u00adë", "zoe"),
        ("\ufeffAnn\u200b", "ann"),
        ("Ann\x00Lee\tMay", "ann lee may"),
        ("김민준", "김민준"),
        ("김민준".encode().decode(), "김민준"),
        ("हिन्दी", "हिनदी"),
        ("Mr. John", "john"),
        ("Dr. Mrs. Ann", "ann"),
        ("Smith, Jr.", "smith"),
        ("Smith III", "smith"),
        ("Jr", "jr"),
        ("Van", "van"),
        ("van der Berg", "vanderberg"),
        ("Vanderberg", "vanderberg"),
        ("de la Cruz", "delacruz"),
        ("Mc Donald", "mcdonald"),
        ("Saint John", "stjohn"),
        ("St. John", "stjohn"),
        ("J.R.", "j r"),
        ("---", None),
        ("", None),
        ("\u200b", None),
        ("😀", None),
    ],
)
@pytest.mark.parametrize("kind", ["given_name", "middle_name", "surname"])
def test_names(kind: str, cell: str, expected: str | None) -> None:
    assert one(kind, cell) == expected


@pytest.mark.parametrize(
    ("cell", "formats", "expected"),
    [
        ("1976-07-04", DEFAULT_DATE_FORMATS, "1976-07-04"),
        (" 19760704 ", DEFAULT_DATE_FORMATS, "1976-07-04"),
        ("１９７６-07-04", DEFAULT_DATE_FORMATS, "1976-07-04"),
        ("٠٧/٠٤/١٩٧٦", ["%m/%d/%Y"], "1976-07-04"),
        ("7/4/1976", ["%m/%d/%Y"], "1976-07-04"),
        ("13/4/1976", ["%m/%d/%Y", "%d/%m/%Y"], "1976-04-13"),
        ("4-Jul-76", ["%d-%b-%y"], "1976-07-04"),
        ("04JUL1976", ["%d%b%Y"], "1976-07-04"),
        ("01/02/45", ["%m/%d/%y"], "1945-01-02"),
    ],
)
def test_dates(cell: str, formats: list[str], expected: str) -> None:
    assert one("date_of_birth", cell, date_formats=formats) == expected


@pytest.mark.parametrize(
    "cell",
    ["1976-02-30", "0000-00-00", "1849-12-31", "2999-01-01", "1980111", "soon", "1" * 10_000, "-"],
)
def test_dates_that_cannot_be_understood_are_invalid(cell: str) -> None:
    field = IdentifierField(name="dob", type=FieldType.DATE_OF_BIRTH)
    column = normalise_column(field, ["1976-07-04", cell, None, " ", cell])
    assert column.invalid.tolist() == [1, 4]
    assert column.invalid.dtype == np.int64
    assert column.values.tolist() == ["1976-07-04", None, None, None, None]
    assert "%Y-%m-%d" in column.reason
    assert str(date.today().year + 1) in column.reason
    if len(cell) > 1:
        assert cell not in column.reason


@pytest.mark.parametrize("declared", ["%m/%d", "%H:%M", "%Q", "", "%d/%Y", "%Y %j x%"])
def test_a_format_must_name_a_day(declared: str) -> None:
    with pytest.raises(ManifestError, match="date format"):
        one("date_of_birth", "1976-07-04", date_formats=[declared])


@pytest.mark.parametrize(
    ("kind", "cell", "expected"),
    [
        ("sex", "M", "m"),
        ("sex", " Female ", "f"),
        ("sex", "1", "m"),
        ("sex", "2.0", "f"),
        ("sex", "Non-binary", "x"),
        ("sex", "0", None),
        ("sex", "9", None),
        ("sex", "unknown", None),
        ("phone", "(651) 555-0123", "6515550123"),
        ("phone", "+1 651.555.0123", "6515550123"),
        ("phone", "16515550123", "6515550123"),
        ("phone", "6515550123.0", "6515550123"),
        ("phone", "６５１ 555 0123", "6515550123"),
        ("phone", "+44 20 7946 0958", "2079460958"),
        ("phone", "651-555-0123 ext. 7", "6515550123"),
        ("phone", "555-0123", None),
        ("phone", "999-999-9999", None),
        ("phone", "call her", None),
        ("phone", "1" * 10_000, None),
        ("address", "12 North High Street, Apartment #4", "12 n high st apt 4"),
        ("address", "12 N. High St Apt 4", "12 n high st apt 4"),
        ("address", "P.O. Box 7", "po box 7"),
        ("address", "PO Box 7", "po box 7"),
        ("address", "1 Third Avenue", "1 3rd ave"),
        ("city", "Saint Paul", "st paul"),
        ("city", "St. Paul", "st paul"),
        ("postcode", "55101-1234", "55101"),
        ("postcode", "551011234", "55101"),
        ("postcode", "2139", "02139"),
        ("postcode", "2139.0", "02139"),
        ("postcode", "K1A 0B1", "k1a0b1"),
        ("postcode", "n/a", "na"),
        ("national_id", "078-05-1120", "078051120"),
        ("national_id", "78051120.0", "078051120"),
        ("national_id", "AB 12 34 56 C", "ab123456c"),
        ("national_id", "999-99-9999", None),
        ("email", " Ann.Lee@Example.ORG ", "ann.lee@example.org"),
        ("email", "none", None),
        ("email", "@x.org", None),
        ("email", "ann@", None),
        ("exact", " Ward\u00a0 VII ", "ward vii"),
        ("exact", "É", "é"),
        ("exact", "\ud800x", "x"),
        ("number", "1,234.50", "1234.5"),
        ("number", "-0.0", "0"),
        ("number", "+007", "7"),
        ("number", ".5", "0.5"),
        ("number", "-.50", "-0.5"),
        ("number", "5.", "5"),
        ("number", "1e9", None),
        ("number", ".", None),
        ("number", "12,34", None),
        ("number", "NaN", None),
    ],
)
def test_other_types(kind: str, cell: str, expected: str | None) -> None:
    field = IdentifierField(name="f", type=FieldType(kind))
    column = normalise_column(field, [cell])
    assert column.values.tolist() == [expected]
    assert column.invalid.tolist() == []


def test_a_foreign_postcode_is_left_as_it_is() -> None:
    assert one("postcode", "2000", region="AU") == "2000"


def test_phone_without_prefix_is_of_the_region() -> None:
    assert one("phone", "020 7946 0958", region="GB") == "2079460958"
    with pytest.raises(ManifestError, match="region"):
        one("phone", "1", region="ZZ")


def test_the_short_way_for_us_phones_agrees_with_the_library() -> None:
    for text in ["6515550123", "+1 (651) 555-0123", "1-651-555-0123", "2005550123"]:
        parsed = phonenumbers.parse(text, "US")
        assert one("phone", text) == phonenumbers.national_significant_number(parsed)


def test_missing_cells() -> None:
    field = IdentifierField(name="f", type=FieldType.SURNAME)
    cells = ["N/A", " n/a ", "UNKNOWN", None, float("nan"), "Lee"]
    column = normalise_column(field, cells, missing=("n/a ", "Unknown"))
    assert column.values.tolist() == [None] * 5 + ["lee"]
    assert column.values.dtype == object


def test_a_cell_that_is_not_text_is_refused_without_showing_it() -> None:
    field = IdentifierField(name="f", type=FieldType.SURNAME)
    with pytest.raises(InputError, match="'f': a cell is not text") as caught:
        normalise_column(field, [424242])  # type: ignore[list-item]
    assert "424242" not in str(caught.value)


@pytest.mark.parametrize("kind", list(FieldType))
def test_empty_column(kind: FieldType) -> None:
    column = normalise_column(IdentifierField(name="f", type=kind), [])
    assert column.values.shape == (0,)
    assert column.invalid.shape == (0,)


@pytest.mark.parametrize("kind", list(FieldType))
@pytest.mark.parametrize(
    "unit", ["a", "́", "́̕", "ﷺ", "a ", "1", "1,", "de ", "apt ", "(", "\u200b", "𝒢", "0."]
)
def test_long_cells_take_little_time(kind: FieldType, unit: str) -> None:
    field = IdentifierField(name="f", type=kind)
    start = time.process_time()
    normalise_column(field, [(unit * 40_000)[:40_000] + "x"])
    assert time.process_time() - start < 2


@pytest.mark.parametrize("kind", list(FieldType))
def test_work_is_done_once_per_distinct_cell(kind: FieldType) -> None:
    field = IdentifierField(name="f", type=kind)
    cells = ["1976-07-04", "m", None, "651 555 0123"] * 25_000
    start = time.process_time()
    normalise_column(field, cells)
    assert time.process_time() - start < 1
