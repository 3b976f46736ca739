"""What each field type makes of real, nasty and hostile cells."""

from __future__ import annotations

import csv
import time
from collections import Counter
from datetime import date
from importlib import resources

import pytest
from pydantic import ValidationError

from linkage.agreement import FieldType, IdentifierField
from linkage.encoding import normalise_column
from linkage.encoding.names import FullName, split_full_name
from linkage.encoding.nicknames import full_names, with_full_names
from linkage.encoding.tokens import Vocabulary, tokenise
from linkage.encoding.wordlists import TRANSLITERATION
from linkage.errors import ManifestError


def one(kind: str, cell: str, *, formats: tuple[str, ...] | None = None, **settings) -> str | None:
    field = IdentifierField(name="f", type=FieldType(kind), **settings)
    more = {} if formats is None else {"date_formats": formats}
    return normalise_column(field, [cell], **more).values[0]


def tokens(kind: str, value: str) -> Counter[bytes]:
    vocabulary = Vocabulary()
    numbers = tokenise(FieldType(kind), [value], vocabulary).numbers
    texts = vocabulary.texts()
    return Counter(texts[number] for number in numbers)


def overlap(kind: str, left: str | None, right: str | None) -> float:
    assert left
    assert right
    a, b = tokens(kind, left), tokens(kind, right)
    return 2 * (a & b).total() / (a.total() + b.total())


@pytest.mark.parametrize(
    ("cell", "given", "middle", "surname"),
    [
        ("John Smith", "john", "", "smith"),
        ("Smith, John", "john", "", "smith"),
        ("SMITH , JOHN Q.", "john", "q", "smith"),
        ("Smith\uff0cJohn", "john", "", "smith"),
        ("Smith, John, Jr.", "john", "", "smith"),
        ("Smith Jr., John", "john", "", "smith"),
        ("Smith, Jr., John", "john", "", "smith"),
        ("John Smith, MD, PhD", "john", "", "smith"),
        ("Dr. John A. Smith III", "john", "a", "smith"),
        ("Smith, Dr. John", "john", "", "smith"),
        ("Mary Ann O'Brien-Smith", "mary", "ann", "obrien smith"),
        ("O’Brien‐Smith, Mary-Ann", "mary", "ann", "obrien smith"),
        ("Ludwig van der Berg", "ludwig", "", "vanderberg"),
        ("van der Berg, Ludwig", "ludwig", "", "vanderberg"),
        ("Maria de la Cruz", "maria", "", "delacruz"),
        ("Al-Hassan, Ali", "ali", "", "alhassan"),
        ("Ali Al-Hassan", "ali", "", "alhassan"),
        ("Van Morrison", "van", "", "morrison"),
        ("Morrison, Van", "van", "", "morrison"),
        ("Al Gore", "al", "", "gore"),
        ("Van Le", "van", "", "le"),
        ("García López, María José", "maria", "jose", "garcia lopez"),
        ("Cher", "", "", "cher"),
        ("Smith,", "", "", "smith"),
        (", John", "", "", "john"),
        ("Jr", "", "", "jr"),
        ("Dr, Jr", "", "", "jr"),
        ("Saint John, Mary", "mary", "", "stjohn"),
        ("김민준", "", "", "김민준"),
        ("Łukasz Ørsted-Weiß", "lukasz", "", "orsted weiss"),
    ],
)
def test_full_names_are_split(cell: str, given: str, middle: str, surname: str) -> None:
    expected = FullName(tuple(given.split()), tuple(middle.split()), tuple(surname.split()))
    assert split_full_name(cell) == expected
    assert one("full_name", cell) == f"{given} {middle} {surname}".strip().replace("  ", " ")


@pytest.mark.parametrize("cell", ["", ",", ", ,", "---", "\u200b,\u200b", "😀"])
def test_full_names_without_a_word_are_missing(cell: str) -> None:
    assert one("full_name", cell) is None


def test_a_full_name_has_the_tokens_of_its_parts() -> None:
    whole = tokens("full_name", one("full_name", "O'Brien-Smith, Mary Ann") or "")
    parts = [("given_name", "Mary"), ("middle_name", "Ann"), ("surname", "O'Brien-Smith")]
    apart = sum((tokens(kind, one(kind, cell) or "") for kind, cell in parts), Counter())
    assert whole == apart


def test_transliteration_is_declared_and_latin_only() -> None:
    assert one("surname", "Łęcki Ærø") == "lecki aero"
    assert one("surname", "Łęcki Ærø", transliterate=False) == "łecki ærø"
    assert one("city", "Tromsø", transliterate=False) == "tromsø"
    assert one("address", "1 Ægir St", transliterate=False) == "1 ægir st"
    assert one("full_name", "Ørsted, Åse", transliterate=False) == "ase ørsted"
    for text in ("Иванов", "אברהם", "김민준", "王小明", "Αθηνα"):
        folded = one("surname", text)
        assert folded == one("surname", text, transliterate=False)
        assert folded
        assert not folded.isascii()
    for letter, ascii_text in TRANSLITERATION.items():
        assert one("surname", f"{letter}a") == f"{ascii_text}a"


def test_nicknames_are_added_and_never_replace() -> None:
    assert one("given_name", "Bill") == "bill"
    assert one("given_name", "Bill", nicknames=True) == "bill william"
    assert one("given_name", "William", nicknames=True) == "william"
    assert one("middle_name", "Bill", nicknames=True) == "bill william"
    assert one("full_name", "Bob, Bill", nicknames=True) == "bill william bob"
    assert one("given_name", "bill william", nicknames=True) == "bill william"
    plain, added = tokens("given_name", "bill"), tokens("given_name", "bill william")
    assert plain <= added


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Bill", "William"),
        ("Kate", "Kathryn"),
        ("Peggy", "Margaret"),
        ("Bob", "Rob"),
        ("Alex", "Alexandra"),
        ("Dick", "Richard"),
    ],
)
def test_nicknames_bring_names_nearer(left: str, right: str) -> None:
    near = [one("given_name", cell, nicknames=True) for cell in (left, right)]
    far = [one("given_name", cell) for cell in (left, right)]
    assert overlap("given_name", *near) > max(0.55, overlap("given_name", *far))


def test_the_table_of_nicknames_is_sound() -> None:
    file = resources.files("linkage.encoding").joinpath("data", "nicknames.csv")
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    pairs = [(row["nickname"], row["name"]) for row in rows]
    assert pairs == sorted(set(pairs))
    assert {row["source"] for row in rows} == {"list", "hand"}
    assert max(Counter(nickname for nickname, _ in pairs).values()) == 2
    assert {word for pair in pairs for word in pair} == {
        one("given_name", word) for pair in pairs for word in pair
    }
    assert not {nickname for nickname, _ in pairs} & {name for _, name in pairs}
    assert full_names("zebulon") == ()
    assert with_full_names([]) == []


@pytest.mark.parametrize("kind", ["surname", "city", "date_of_birth"])
def test_only_given_names_have_nicknames(kind: str) -> None:
    with pytest.raises(ValidationError, match="nicknames"):
        IdentifierField(name="f", type=FieldType(kind), nicknames=True)


FORMATS = ("%m/%d/%Y", "%Y-%m-%d", "%Y%m%d", "%Y-%m", "%m/%Y", "%Y", "%d %b %Y")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("7/4/1976", "1976-07-04"),
        ("1976-07", "1976-07"),
        ("07/1976", "1976-07"),
        ("1976", "1976"),
        ("１９７６", "1976"),
        ("1976-07-00", "1976-07"),
        ("1976-00-00", "1976"),
        ("1976-00-15", "1976"),
        ("1976-00", "1976"),
        ("00/00/1976", "1976"),
        ("0/0/1976", "1976"),
        ("19760700", "1976-07"),
        ("19760000", "1976"),
        ("00 Jul 1976", "1976-07"),
    ],
)
def test_dates_known_in_part(cell: str, expected: str) -> None:
    assert one("date_of_birth", cell, formats=FORMATS) == expected


@pytest.mark.parametrize("cell", ["0000-00-00", "0000", "1976-13", "00/1849", "1976-02-30", "76"])
def test_nonsense_stays_an_error_where_dates_may_be_partial(cell: str) -> None:
    field = IdentifierField(name="f", type=FieldType.DATE_OF_BIRTH)
    assert normalise_column(field, [cell], date_formats=FORMATS).invalid.tolist() == [0]


@pytest.mark.parametrize("cell", ["1976-07-00", "1976-00-00", "1976-07", "1976"])
def test_partial_dates_are_errors_unless_declared(cell: str) -> None:
    field = IdentifierField(name="f", type=FieldType.DATE_OF_BIRTH)
    assert normalise_column(field, [cell]).invalid.tolist() == [0]


@pytest.mark.parametrize("declared", ["%d", "%d/%Y", "%b", "%", "%Y %", "(", "%Y-%m-%d%z%"])
def test_formats_that_name_no_year_or_skip_the_month(declared: str) -> None:
    with pytest.raises(ManifestError, match="date format"):
        one("date_of_birth", "1976", formats=(declared,))


def test_zeros_in_a_format_that_cannot_hold_them() -> None:
    assert one("date_of_birth", "1976-185", formats=("%Y-%j", "%Y")) == "1976-07-03"
    field = IdentifierField(name="f", type=FieldType.DATE_OF_BIRTH)
    column = normalise_column(field, ["1976-000"], date_formats=("%Y-%j", "%Y"))
    assert column.invalid.tolist() == [0]


def test_the_pivot_of_two_digit_years() -> None:
    def of(cell: str, latest: int | None) -> str | None:
        return one("date_of_birth", cell, formats=("%m/%d/%y",), latest_short_year=latest)

    assert of("07/04/15", 2015) == "2015-07-04"
    assert of("07/04/16", 2015) == "1916-07-04"
    assert of("07/04/99", 1999) == "1999-07-04"
    assert of("07/04/00", 1999) == "1900-07-04"
    this = date.today().year
    assert of(f"07/04/{this % 100:02}", None) == f"{this}-07-04"
    assert of(f"07/04/{(this + 1) % 100:02}", None) == f"{this - 99}-07-04"
    with pytest.raises(ValidationError, match="latest_short_year"):
        IdentifierField(name="f", type=FieldType.SEX, latest_short_year=2000)


@pytest.mark.parametrize(
    ("left", "right", "least"),
    [
        ("1976-07-04", "1976-04-07", 0.8),
        ("1976-07-04", "1876-07-04", 0.8),
        ("1976-07-04", "1976-07", 0.8),
        ("1976-07-04", "1976", 0.6),
        ("1976-07", "1976", 0.7),
    ],
)
def test_dates_that_differ_still_overlap(left: str, right: str, least: float) -> None:
    assert overlap("date_of_birth", left, right) >= least
    if len(right) < 10:
        assert tokens("date_of_birth", right) <= tokens("date_of_birth", left)


@pytest.mark.parametrize(
    ("cell", "region", "expected"),
    [
        ("078-05-1120", "US", "078051120"),
        ("78051120", "US", "078051120"),
        ("8051120", "US", "008051120"),
        ("1120", "US", "1120"),
        ("112", "US", "0112"),
        ("***-**-1120", "US", "1120"),
        ("XXX-XX-1120", "US", "1120"),
        ("xxxxx1120", "US", "1120"),
        ("000-00-1120", "US", "1120"),
        ("999-99-1120", "US", "1120"),
        ("999-99-9999", "US", None),
        ("000000000", "US", None),
        ("0000", "US", None),
        ("123-45-6789", "US", None),
        ("987654321", "US", None),
        ("٠٧٨٠٥١١٢٠", "US", "078051120"),
        ("123-45-6789", "GB", "123456789"),
        ("AB 12 34 56 C", "GB", "ab123456"),
        ("AB123456", "GB", "ab123456"),
        ("112", "DE", "112"),
    ],
)
def test_national_ids(cell: str, region: str, expected: str | None) -> None:
    assert one("national_id", cell, region=region) == expected


def test_the_last_four_digits_meet_the_whole_number() -> None:
    whole, last, other = (one("national_id", c) for c in ("078-05-1120", "1120", "078-05-1121"))
    assert tokens("national_id", last) <= tokens("national_id", whole)
    assert overlap("national_id", whole, last) > 0.6
    assert overlap("national_id", whole, last) > overlap("national_id", other, last)
    lost = one("national_id", "78051120", region="DE")
    assert overlap("national_id", whole, lost) > 0.9


@pytest.mark.parametrize(
    ("cell", "region", "expected"),
    [
        ("55101-1234", "US", "55101"),
        ("00000", "US", None),
        ("99999-9999", "US", None),
        ("SW1A1AA", "GB", "sw1a 1aa"),
        ("sw1a 1aa", "GB", "sw1a 1aa"),
        ("M1 1AE", "GB", "m1 1ae"),
        ("GIR 0AA", "GB", "gir 0aa"),
        ("JE2 3AB", "JE", "je2 3ab"),
        ("SW1A", "GB", "sw1a"),
        ("not known", "GB", "notknown"),
    ],
)
def test_postcodes(cell: str, region: str, expected: str | None) -> None:
    assert one("postcode", cell, region=region) == expected


def test_an_outward_code_meets_the_whole_postcode() -> None:
    assert tokens("postcode", "sw1a") <= tokens("postcode", "sw1a 1aa")
    assert overlap("postcode", "sw1a", "sw1a 1aa") > 0.7
    assert overlap("postcode", "m1 1ae", "m11 1ae") > 0.9


@pytest.mark.parametrize("value", [" ", "  ", " a", "a ", " a ", "a  b", " a b c "])
def test_every_postcode_has_tokens(value: str) -> None:
    assert tokens("postcode", value)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("0012 North High Street #4", "12 n high st apt 4"),
        ("12 N High St Unit 4", "12 n high st apt 4"),
        ("Apt 4, 12 N High St", "12 n high st apt 4"),
        ("Apt 4", "apt 4"),
        ("Post Office Box 007", "po box 7"),
        ("POB 7", "po box 7"),
        ("Rural Route 2 Box 9", "rr 2 box 9"),
        ("123-45 67th Avenue", "123 45 67th ave"),
        ("0", "0"),
        ("#", "apt"),
    ],
)
def test_addresses(cell: str, expected: str) -> None:
    assert one("address", cell) == expected


def test_values_that_mean_not_known_are_counted() -> None:
    field = IdentifierField(name="f", type=FieldType.SURNAME)
    cells = ["NONE", " none ", "Lee", None, "", "  ", "N/A"]
    column = normalise_column(field, cells, missing=("None", "n/a", ""))
    assert column.sentinels == 3
    assert column.values.tolist() == [None, None, "lee", None, None, None, None]
    assert normalise_column(field, cells).sentinels == 0
    dob = IdentifierField(name="f", type=FieldType.DATE_OF_BIRTH)
    dates = normalise_column(dob, ["01/01/1900", "1976-07-04"], missing=("01/01/1900",))
    assert (dates.sentinels, dates.invalid.tolist()) == (1, [])


@pytest.mark.parametrize("kind", list(FieldType))
@pytest.mark.parametrize(
    "unit", [",", ", ", "a,", "jr,", "mr ", "van ", "x", "0", "00/", "unit ", "bill ", "-", "٠"]
)
def test_hostile_cells_take_little_time(kind: FieldType, unit: str) -> None:
    field = IdentifierField(name="f", type=kind, nicknames=kind is FieldType.FULL_NAME)
    start = time.process_time()
    normalise_column(field, [(unit * 40_000)[:40_000]], date_formats=FORMATS)
    assert time.process_time() - start < 2
