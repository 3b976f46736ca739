"""What an agency holds about the people it meets, mistakes included.

- Half of the mistakes fall on a fifth of the records: some clerks have bad days.
- Each record of a person is made anew: two bookings of one person differ.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from linkage.synthetic import mistakes
from linkage.synthetic.agencies import Agency
from linkage.synthetic.names import Strings, plain
from linkage.synthetic.places import MUNICIPALITIES


def make_records(agency: Agency, people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The agency's records about these people, one per row, under the manifest's field names.

    Beside the fields stand `truth`, `suffix`, `race`, `tract` and `record_id`; birth dates are
    dates, and what is missing is empty.
    """
    people = people.iloc[rng.permutation(len(people))]
    source = random.Random(int(rng.integers(2**62)))  # nosec B311 # people are made up, keys are not
    habits = agency.habits
    count = len(people)
    cells = _as_known(agency, people, rng)
    weight = np.where(rng.random(count) < 0.2, 2.5, 0.625)

    def some(rate: float) -> NDArray[np.bool_]:
        return rng.random(count) < rate * weight

    def change(field: str, rows: NDArray[np.bool_], how: Callable[[str], str]) -> None:
        values = cells[field]
        for row in np.flatnonzero(rows):
            if values[row]:
                values[row] = how(values[row])

    change("given_name", some(habits.nickname), lambda name: mistakes.nickname(name, source))
    change("given_name", some(habits.misspelt), lambda name: mistakes.misspell(name, source))
    change("surname", rng.random(count) < habits.one_surname, lambda n: _one_part(n, source))
    change("surname", some(habits.misspelt), lambda name: mistakes.misspell(name, source))
    change("middle_name", some(habits.misspelt), lambda name: mistakes.misspell(name, source))
    change("middle_name", rng.random(count) < habits.initial, lambda name: name[:1])
    change("date_of_birth", some(habits.birth), lambda day: _wrong_birth(day, source))
    for field in ("phone", "postcode", "ssn4"):
        change(field, some(habits.digits), lambda text: mistakes.wrong_digit(text, source))
    change("address", some(habits.address), lambda text: mistakes.wrong_address(text, source))
    change("address", rng.random(count) < 0.4, mistakes.abbreviate)
    change("city", some(0.02), lambda text: mistakes.misspell(text, source))
    change("race", some(0.04), lambda codes: codes.split("|")[0])
    given, surname, swapped = cells["given_name"], cells["surname"], some(habits.swapped)
    given[swapped], surname[swapped] = surname[swapped], given[swapped]
    for field, rate in habits.missing.items():
        cells[field][rng.random(count) < rate] = ""
    return pd.DataFrame(cells).assign(truth=people["person"].to_numpy())


def _as_known(agency: Agency, people: pd.DataFrame, rng: np.random.Generator) -> dict[str, Strings]:
    """Everything right, but some of it no longer."""
    count = len(people)
    moved, phone_changed, renamed = (rng.random(count) < rate for rate in agency.habits.before)

    def column(name: str, before: str = "", earlier: NDArray[np.bool_] | None = None) -> Strings:
        now = people[name].to_numpy(dtype=object).copy()
        return now if earlier is None else np.where(earlier, people[before].to_numpy(), now)

    suffix = column("suffix")
    suffix[rng.random(count) < 0.4] = ""
    return {
        "record_id": np.array(
            [f"{agency.prefix}-{n:06d}" for n in range(1, count + 1)], dtype=object
        ),
        "given_name": column("given"),
        "middle_name": column("middle"),
        "surname": column("surname", "former", renamed),
        "suffix": suffix,
        "date_of_birth": people["birth"].dt.strftime("%Y-%m-%d").to_numpy(dtype=object).copy(),
        "sex": column("sex"),
        "phone": column("phone", "phone_before", phone_changed),
        **{
            name: column(name, f"{name}_before", moved)
            for name in ("address", "city", "postcode", "tract")
        },
        "ssn4": column("ssn4"),
        "race": column("race"),
    }


def _wrong_birth(day: str, source: random.Random) -> str:
    return mistakes.wrong_date(date.fromisoformat(day), source).isoformat()


def _one_part(surname: str, source: random.Random) -> str:
    """One half of a double surname; particles such as "de la" are no halves."""
    parts = surname.split("-") if "-" in surname else surname.split(" ")
    if len(parts) != 2 or min(map(len, parts)) < 4:
        return surname
    return parts[0] if source.random() < 0.75 else parts[1]


def write_style(agency: Agency, records: pd.DataFrame) -> pd.DataFrame:
    """The records as the agency's own file shows them: its columns, codes and formats."""
    shown = records.copy()
    if agency.name == "sheriff":
        for field in ("given_name", "middle_name", "surname", "address", "city", "suffix"):
            shown[field] = [plain(text).upper() for text in shown[field]]
        short = {town.name.upper(): town.short for town in MUNICIPALITIES}
        rare = shown.index.to_numpy() % 6 == 0
        shown["city"] = np.where(rare, shown["city"].replace(short), shown["city"])
        surnames = shown["surname"] + " " + shown["suffix"]
        shown["surname"] = np.where(rare, surnames.str.strip(), shown["surname"])
        shown["suffix"] = np.where(rare, "", shown["suffix"])
    formats = np.array(agency.dates)[(shown.index.to_numpy() % 5 == 0) * (len(agency.dates) - 1)]
    shown["date_of_birth"] = [
        date.fromisoformat(day).strftime(form) if day else ""
        for day, form in zip(shown["date_of_birth"], formats, strict=True)
    ]
    shown["sex"] = [agency.sexes.get(sex, "") for sex in shown["sex"]]
    shown["phone"] = [_phone(agency, text) for text in shown["phone"]]
    for field, word in agency.unknown.items():
        empty = (shown[field] == "") & (shown.index.to_numpy() % 4 != 0)
        shown[field] = np.where(empty, word, shown[field])
    if agency.name != "sheriff":
        suffix = (" " + shown["suffix"]).where(shown["suffix"] != "", "")
        shown["surname"] += suffix
        shown = shown.drop(columns="suffix")
    named = {field: agency.column(field) for field in shown.columns if field != "truth"}
    return shown.rename(columns=named)


def _phone(agency: Agency, digits: str) -> str:
    if len(digits) != 10:
        return digits
    area, exchange, line = digits[:3], digits[3:6], digits[6:]
    if agency.name == "sheriff":
        return f"({area}) {exchange}-{line}"
    return f"{area}-{exchange}-{line}" if agency.name == "health" else digits
