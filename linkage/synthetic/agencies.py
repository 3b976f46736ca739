"""Three agencies, each with its own columns, formats, codes and habits.

- The sheriff books some people more than once; health and social services hold each person once.
- What is missing, outdated or mistaken differs by agency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FIELDS = (
    "given_name",
    "middle_name",
    "surname",
    "date_of_birth",
    "sex",
    "phone",
    "address",
    "city",
    "postcode",
    "ssn4",
)
"""The identifier fields, under the names of the manifest."""


@dataclass(frozen=True)
class Habits:
    """How often an agency's cells are missing, outdated or mistaken.

    Attributes:
        missing: share of empty cells by field, and of race.
        before: share of records with the earlier address, telephone and surname, each.
        misspelt: share of given names and of surnames with a mistake.
        nickname: share of given names in their short form.
        swapped: share of records with given name and surname exchanged.
        initial: share of middle names cut to a letter.
        one_surname: share of double surnames cut to one part.
        birth: share of wrong birth dates.
        digits: share of wrong digits in telephone, postcode and social security digits, each.
        address: share of addresses with a mistake.
    """

    missing: Mapping[str, float]
    before: tuple[float, float, float]
    misspelt: float
    nickname: float
    swapped: float
    initial: float
    one_surname: float
    birth: float
    digits: float
    address: float


@dataclass(frozen=True)
class Agency:
    """One partner and how it writes.

    Attributes:
        columns: the file's columns by field, and by `record_id`, `race` and `tract`.
        dates: strptime formats of birth dates; the second is used for old records.
        unknown: what stands for "not known", by field; "" where not given.
        sexes: its codes.
    """

    name: str
    title: str
    unique: bool
    prefix: str
    columns: Mapping[str, str]
    dates: tuple[str, ...]
    unknown: Mapping[str, str]
    sexes: Mapping[str, str]
    habits: Habits

    def column(self, field: str) -> str:
        """The file's column for a field."""
        return self.columns.get(field, field)

    @property
    def unknown_words(self) -> tuple[str, ...]:
        """Every word the agency uses for "not known"."""
        return tuple(dict.fromkeys(self.unknown.values()))


SHERIFF = Agency(
    name="sheriff",
    title="Prairie County Sheriff's Office",
    unique=False,
    prefix="SO",
    columns={
        "record_id": "name_id",
        "given_name": "FIRST",
        "middle_name": "MIDDLE",
        "surname": "LAST",
        "suffix": "SUFFIX",
        "date_of_birth": "DOB",
        "sex": "SEX",
        "phone": "PHONE",
        "address": "ADDR",
        "city": "CITY",
        "postcode": "ZIP",
        "ssn4": "SSN4",
        "race": "RACE",
        "tract": "TRACT",
    },
    dates=("%m/%d/%Y",),
    unknown={
        "date_of_birth": "00/00/0000",
        "address": "TRANSIENT",
        "middle_name": "NMN",
        "phone": "UNK",
        "surname": "UNKNOWN",
        "given_name": "UNKNOWN",
    },
    sexes={"F": "F", "M": "M"},
    habits=Habits(
        missing={
            "given_name": 0.004,
            "middle_name": 0.30,
            "date_of_birth": 0.03,
            "sex": 0.004,
            "phone": 0.38,
            "address": 0.14,
            "city": 0.06,
            "postcode": 0.17,
            "ssn4": 0.35,
            "race": 0.02,
        },
        before=(0.28, 0.30, 0.35),
        misspelt=0.09,
        nickname=0.07,
        swapped=0.010,
        initial=0.25,
        one_surname=0.45,
        birth=0.055,
        digits=0.03,
        address=0.10,
    ),
)

HEALTH = Agency(
    name="health",
    title="Prairie County Behavioral Health",
    unique=True,
    prefix="BH",
    columns={"record_id": "client_id", "postcode": "zip_code", "race": "race_ethnicity"},
    dates=("%Y-%m-%d",),
    unknown={"phone": "not asked", "ssn4": "-", "date_of_birth": "not asked"},
    sexes={"F": "F", "M": "M"},
    habits=Habits(
        missing={
            "middle_name": 0.22,
            "date_of_birth": 0.004,
            "sex": 0.01,
            "phone": 0.10,
            "address": 0.05,
            "city": 0.02,
            "postcode": 0.04,
            "ssn4": 0.15,
            "race": 0.06,
        },
        before=(0.10, 0.14, 0.20),
        misspelt=0.03,
        nickname=0.05,
        swapped=0.003,
        initial=0.35,
        one_surname=0.20,
        birth=0.02,
        digits=0.015,
        address=0.05,
    ),
)

SOCIAL = Agency(
    name="social",
    title="Prairie County Social Services",
    unique=True,
    prefix="SS",
    columns={
        "record_id": "case_person_id",
        "given_name": "FirstName",
        "middle_name": "MI",
        "surname": "LastName",
        "date_of_birth": "BirthDate",
        "sex": "Gender",
        "phone": "Telephone",
        "address": "StreetAddress",
        "city": "Town",
        "postcode": "Zip",
        "ssn4": "SSNLast4",
    },
    dates=("%Y/%m/%d", "%m-%d-%Y"),
    unknown={"ssn4": "0000", "phone": "NONE", "middle_name": "REFUSED", "sex": "REFUSED"},
    sexes={"F": "Female", "M": "Male"},
    habits=Habits(
        missing={
            "middle_name": 0.35,
            "date_of_birth": 0.012,
            "sex": 0.015,
            "phone": 0.16,
            "address": 0.04,
            "city": 0.02,
            "postcode": 0.03,
            "ssn4": 0.08,
            "race": 0.04,
        },
        before=(0.15, 0.20, 0.25),
        misspelt=0.045,
        nickname=0.04,
        swapped=0.006,
        initial=1.0,
        one_surname=0.30,
        birth=0.035,
        digits=0.025,
        address=0.07,
    ),
)

AGENCIES = (SHERIFF, HEALTH, SOCIAL)
