"""Race and ethnicity across partners: how complete, how far they agree, and outcomes by them.

- A person counts in every category that is given (alone or in combination); groups overlap.
- Answers are read and compared as OMB's directive of 1997 and 2024 has it (`release.race`): what
  the older question did not ask counts as no answer, never as no.
- What partners say of one person is compared where both give something. Wrong links make
  people disagree with themselves; the share that differs is corrected for them.
- Differences compare the people of a category with all the others, with 95% intervals after
  Newcombe (1998): the distances of both shares' bounds, added in squares.

    completeness(races)
    disagreement(races["health"], races["sheriff"])
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from linkage.errors import InvalidRequestError
from linkage.evaluator.contacts import RECORD
from linkage.evaluator.linkerror import LinkError, Range, wilson
from linkage.evaluator.reading import STUDY_ID, Extract
from linkage.release.disclosure import Table, table_of_rows
from linkage.release.race import DECLINED as DECLINED_CODE
from linkage.release.race import SEPARATOR, Answer, Collection, Standard, comparable, read

RACE = "race_ethnicity"
ONE, SEVERAL, DECLINED, UNKNOWN = "one category", "several", "declined", "not known"
STATES = (ONE, SEVERAL, DECLINED, UNKNOWN)
GIVEN = "given"
SAME, OVERLAPPING, DIFFERENT, UNLIKE = "same", "overlapping", "different", "not alike"
PARTNER, STATE, CATEGORY, ANSWER = "partner", "state", "category", "answer"
IN, OUT = "in", "out"
STANDARD, COLLECTION = "race_ethnicity_standard", "race_ethnicity_collection"

_REFUSED = frozenset({"REFUSED", "PREFER_NOT_TO_SAY"})

Races = Mapping[str, frozenset[str]]


@cache
def answer(cell: object, standard: str = "2024", collection: str = "self") -> Answer:
    """What a cell says, in the terms of OMB's directive; codes of another list stay as they are."""
    text = cell if isinstance(cell, str) else ""
    year = Standard.OMB_1997 if standard == "1997" else Standard.OMB_2024
    said_by = Collection(collection) if collection in set(Collection) else Collection.SELF
    try:
        return read(text, year, said_by)
    except InvalidRequestError:
        codes = frozenset(part.strip() for part in text.split(SEPARATOR)) - {""}
        return Answer(frozenset({DECLINED_CODE}) if codes & _REFUSED else codes, year, said_by)


def state(said: Answer) -> str:
    """One of `STATES`."""
    if said.categories:
        return ONE if len(said.categories) == 1 else SEVERAL
    return DECLINED if DECLINED_CODE in said.codes else UNKNOWN


def answers_of(extract: Extract) -> pd.DataFrame:
    """Every record of a person table that has race and ethnicity: `partner`, `study_id`, `record`
    (its name) and `answer`.
    """
    columns = race_columns(extract)
    of = {extract.partner(n): n for n in extract.of_kind("person") if extract.find(n, RACE)}
    parts = [
        pd.DataFrame(
            {
                PARTNER: partner,
                STUDY_ID: extract.tables[table][STUDY_ID].to_numpy(),
                RECORD: extract.records(table).to_numpy(),
                ANSWER: columns[partner].to_numpy(),
            }
        )
        for partner, table in of.items()
    ]
    return pd.concat(parts, ignore_index=True)


def race_columns(extract: Extract) -> dict[str, pd.Series[Any]]:
    """By partner, the answers in its person table, by study id.

    Where the table does not say of which standard they are, it is the one of 2024.
    """
    found: dict[str, pd.Series[Any]] = {}
    for table in extract.of_kind("person"):
        column = extract.find(table, RACE)
        if column is None:
            continue
        rows = extract.tables[table]
        said = [rows[column].tolist()]
        for means, usual in ((STANDARD, "2024"), (COLLECTION, "self")):
            other = extract.find(table, means)
            said.append([usual] * len(rows) if other is None else rows[other].tolist())
        answers = [answer(*cells) for cells in zip(*said, strict=True)]
        found[extract.partner(table)] = pd.Series(answers, index=rows[STUDY_ID], dtype=object)
    return found


def race_of(extract: Extract, partner: str) -> dict[str, frozenset[str]]:
    """Each person's categories, as the partner gives them or else as the first other does.

    Where a partner holds a person more than once, the first record that gives any counts.
    """
    columns = race_columns(extract)
    order = [name for name in (partner, *extract.partners) if name in columns]
    found: dict[str, frozenset[str]] = {}
    for name in dict.fromkeys(order):
        for person, said in columns[name].items():
            if str(person) not in found and said.categories:
                found[str(person)] = said.categories
    return found


def completeness(answers: pd.DataFrame) -> Table:
    """Records by partner and by what is given (`STATES`)."""
    return table_of_rows(
        answers.assign(**{STATE: answers[ANSWER].map(state)}),
        [PARTNER, STATE],
        name="race_completeness",
        counted="records of persons",
        # Who gives something is whom the categories count.
        levels={STATE: {ONE: GIVEN, SEVERAL: GIVEN}},
        codes={STATE: STATES},
        margins=[{PARTNER}],
        finest=True,
        person=STUDY_ID,
        record=RECORD,
    )


def by_category(answers: pd.DataFrame) -> Table:
    """Records by partner and category, each alone or in combination."""
    rows = answers.assign(**{CATEGORY: answers[ANSWER].map(lambda said: sorted(said.categories))})
    rows = rows.explode(CATEGORY).dropna(subset=CATEGORY)
    return _records_by(rows, CATEGORY, "race_categories")


def against_rest(answers: pd.DataFrame) -> Iterator[Table]:
    """By partner, the records of each category and all others that give something: all but one
    category are told by who gives something.
    """
    given = answers[ANSWER].map(lambda said: said.categories)
    for category in sorted(frozenset().union(*given)):
        inside = [IN if category in those else OUT for those in given]
        rows = answers.assign(**{category: inside})[given.map(bool)]
        yield _records_by(rows, category, f"race_categories: {category}")


def _records_by(rows: pd.DataFrame, column: str, name: str) -> Table:
    return table_of_rows(
        rows.assign(of=rows[PARTNER] + "/" + rows[RECORD]),
        [PARTNER, column],
        name=name,
        counted="records of persons",
        margins=[],
        finest=True,
        person="of",
        people=True,
        record=RECORD,
    )


@dataclass(frozen=True)
class Disagreement:
    """What two partners say of the people that both know and give something about.

    Attributes:
        alike: of each person of whom both give some category, `SAME`, `OVERLAPPING` or `DIFFERENT`:
            all categories alike; some; none.
        by_chance: how often two people picked at random would not be alike.
    """

    alike: pd.Series[str]
    by_chance: float

    def corrected(self, seen: Range, error: LinkError) -> Range:
        """A share of those who are not alike, without what wrong links add."""
        return _corrected(seen, self.by_chance, error.precision)


def disagreement(one: pd.Series[Any], other: pd.Series[Any]) -> Disagreement | None:
    """Compare two partners' answers, by study id; None where they share no one.

    Answers of two standards are compared in as far as both were asked (see `release.race`).
    """
    left, right = (column[~column.index.duplicated()] for column in (one, other))
    both = left.index.intersection(right.index)
    compared = [comparable(a, b) for a, b in zip(left[both], right[both], strict=True)]
    pairs = {person: pair for person, pair in zip(both, compared, strict=True) if pair is not None}
    if not pairs:
        return None
    alike = pd.Series({person: _alike(*pair) for person, pair in pairs.items()}, dtype=object)
    return Disagreement(alike, _unlike_by_chance(list(pairs.values())))


def _alike(one: frozenset[str], other: frozenset[str]) -> str:
    return SAME if one == other else OVERLAPPING if one & other else DIFFERENT


def disagreement_table(one: str, other: str, found: Disagreement) -> Table:
    """People by how alike two partners' answers are."""
    return table_of_rows(
        pd.DataFrame({"person": found.alike.index.astype(str), ANSWER: found.alike.to_numpy()}),
        [ANSWER],
        name=f"race and ethnicity: {one} and {other}",
        counted=f"people whose race and ethnicity {one} and {other} give",
        levels={ANSWER: {OVERLAPPING: UNLIKE, DIFFERENT: UNLIKE}},
        codes={ANSWER: [SAME, OVERLAPPING, DIFFERENT]},
        person="person",
        people=True,
        record="person",
    )


def _unlike_by_chance(pairs: list[tuple[frozenset[str], frozenset[str]]]) -> float:
    """How often two people picked at random would differ."""
    left, right = (
        pd.Series(list(side)).value_counts(normalize=True) for side in zip(*pairs, strict=True)
    )
    return 1.0 - float(sum(share * right.get(key, 0.0) for key, share in left.items()))


def _corrected(seen: Range, by_chance: float, precision: Range) -> Range:
    """Of right links: seen = p * true + (1 - p) * by chance."""
    p = max(precision.value, 1e-9)

    def true(share: float, at: float) -> float:
        return (share - (1 - at) * by_chance) / at

    value = min(max(true(seen.value, p), 0.0), 1.0)
    least = max(precision.low, 1e-9)
    moved = [true(seen.value, least) - value, true(seen.value, precision.high) - value]
    below = math.hypot((seen.value - seen.low) / p, min(*moved, 0.0))
    above = math.hypot((seen.high - seen.value) / p, max(*moved, 0.0))
    return Range(value, max(0.0, value - below), min(1.0, value + above))


def difference(one: Range, other: Range) -> Range:
    """One share minus another, independent one."""
    value = one.value - other.value
    below = math.hypot(one.value - one.low, other.high - other.value)
    above = math.hypot(one.high - one.value, other.value - other.low)
    return Range(value, value - below, value + above)


def share_of(part: int, people: int) -> Range:
    """A share with its Wilson interval, of counts as they are shown: rounded ones give no exact
    share.
    """
    return Range(part / people if people else 0.0, *wilson(part, people))
