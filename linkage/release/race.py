"""Race and ethnicity as OMB's Statistical Policy Directive 15 has them, of 1997 and of 2024.

- 2024: one question, seven categories, as many as apply. 1997: five races, as many as apply, and
  beside them whether Hispanic or Latino, asked first.
- An answer says its standard and who gave it. UNKNOWN and DECLINED are answers and stand alone.
- A conversion never says more than the answer did. What the older question did not ask is kept as
  not asked, and never counts as no: someone who chose White in 1997's form may be Middle Eastern or
  North African, which it counted as White.

| from 1997 | to 2024 | |
|---|---|---|
| races, with HISP | the same | lossless |
| races, with NOT_HISP | the races | what is left out is no category of 2024 |
| races alone | the races; HISP was not asked | lossless |
| WHITE | WHITE; MENA was not asked | never MENA, and never "not MENA" |
| OTHER | refused | some other race is no category of 2024 |
| UNKNOWN, DECLINED | the same | lossless |

| from 2024 | to 1997 | |
|---|---|---|
| MENA | WHITE | by the definition of 1997; the category is lost |
| HISP and others | HISP and the races | lossless |
| HISP alone | HISP, no race | a race would be invented |
| without HISP | the races; ethnicity not said | NOT_HISP would be inferred from silence |

    said = read("HISP|WHITE", Standard.OMB_1997, Collection.SELF)
    to_2024(said).codes                           # {"HISP", "WHITE"}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from linkage.errors import InvalidRequestError

SEPARATOR = "|"
UNKNOWN, DECLINED = "UNKNOWN", "DECLINED"
HISPANIC, NOT_HISPANIC, MENA, WHITE, OTHER = "HISP", "NOT_HISP", "MENA", "WHITE", "OTHER"

_RACES_1997 = frozenset(("AIAN", "ASIAN", "BLACK", "NHPI", WHITE))
_NO_CATEGORY = frozenset((UNKNOWN, DECLINED))


class Standard(StrEnum):
    """Of which year the categories are."""

    OMB_1997 = "1997"
    OMB_2024 = "2024"


class Collection(StrEnum):
    """Who said it: the person, somebody who looked, somebody close, or a computation."""

    SELF = "self"
    OBSERVER = "observer"
    PROXY = "proxy"
    DERIVED = "derived"


CATEGORIES: dict[Standard, frozenset[str]] = {
    Standard.OMB_1997: _RACES_1997 | {HISPANIC, NOT_HISPANIC, OTHER},
    Standard.OMB_2024: _RACES_1997 | {HISPANIC, MENA},
}


@dataclass(frozen=True)
class Answer:
    """What is known of one person's race and ethnicity.

    Attributes:
        codes: at least one; UNKNOWN or DECLINED alone.
        not_asked: categories of the standard that the question did not offer: absent from
            `codes`, they mean nothing.
    """

    codes: frozenset[str]
    standard: Standard
    collection: Collection
    not_asked: frozenset[str] = frozenset()

    @property
    def categories(self) -> frozenset[str]:
        """The codes that name a category that the person is of."""
        return self.codes - _NO_CATEGORY - {NOT_HISPANIC}

    def __str__(self) -> str:
        return SEPARATOR.join(sorted(self.codes))


def read(text: str, standard: Standard, collection: Collection) -> Answer:
    """An answer from codes joined by "|"; an empty text is UNKNOWN.

    Raises:
        InvalidRequestError: a code of no or another standard, or two that exclude each other.
    """
    codes = frozenset(part.strip().upper() for part in text.split(SEPARATOR)) - {""}
    codes = codes or frozenset((UNKNOWN,))
    if codes - CATEGORIES[standard] - _NO_CATEGORY:
        raise InvalidRequestError(
            f"a code of race or ethnicity is none of the standard of {standard}",
            remedy=f"Its codes are {', '.join(sorted(CATEGORIES[standard] | _NO_CATEGORY))}",
        )
    if len(codes) > 1 and codes & _NO_CATEGORY:
        raise InvalidRequestError("UNKNOWN and DECLINED of race or ethnicity stand alone")
    if {HISPANIC, NOT_HISPANIC} <= codes:
        raise InvalidRequestError("HISP and NOT_HISP exclude each other")
    return Answer(codes, standard, collection)


def to_2024(said: Answer) -> Answer:
    """The answer in the categories of 2024.

    Raises:
        InvalidRequestError: it would have to be invented.
    """
    if said.standard is Standard.OMB_2024:
        return said
    if OTHER in said.codes:
        raise InvalidRequestError(
            "some other race, of the standard of 1997, is no category of 2024's",
            remedy="Ask again, or keep the answer in its own standard",
        )
    not_asked = {MENA}
    if not said.codes & _NO_CATEGORY and not said.codes & {HISPANIC, NOT_HISPANIC}:
        not_asked.add(HISPANIC)
    codes = (said.codes - {NOT_HISPANIC}) or frozenset((UNKNOWN,))
    return replace(said, codes=codes, standard=Standard.OMB_2024, not_asked=frozenset(not_asked))


def to_1997(said: Answer) -> Answer:
    """The answer in the categories of 1997; never refused, since they are the coarser ones."""
    if said.standard is Standard.OMB_1997:
        return said
    codes = said.codes - {MENA} | ({WHITE} if MENA in said.codes else frozenset())
    return replace(said, codes=codes, standard=Standard.OMB_1997, not_asked=frozenset())


def comparable(one: Answer, other: Answer) -> tuple[frozenset[str], frozenset[str]] | None:
    """The categories of two answers, in as far as both were asked for them; None where one says
    nothing.

    Answers of two standards are compared by the older one, and ethnicity only where both said it.
    """
    mixed = Standard.OMB_1997 in (one.standard, other.standard) or bool(
        (one.not_asked | other.not_asked) & {MENA}
    )
    ones, others = ((to_1997(a) if mixed else a).categories for a in (one, other))
    if not (_says_ethnicity(one) and _says_ethnicity(other)):
        ones, others = ones - {HISPANIC}, others - {HISPANIC}
    return (ones, others) if ones and others else None


def _says_ethnicity(said: Answer) -> bool:
    if said.standard is Standard.OMB_1997:
        return bool(said.codes & {HISPANIC, NOT_HISPANIC})
    return HISPANIC not in said.not_asked


@dataclass(frozen=True)
class Completeness:
    """One source's records by what they say, and by who said it.

    Attributes:
        one, several: records that name one category, or more.
        by_collection: records that name any, by who said it.
    """

    records: int = 0
    one: int = 0
    several: int = 0
    declined: int = 0
    unknown: int = 0
    by_collection: Mapping[Collection, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """What two sources say of the people of whom both say something.

    Attributes:
        same, overlapping, different: all categories alike; some; none.
        said: how many people have these categories in the one and those in the other source.
    """

    people: int
    same: int
    overlapping: int
    different: int
    said: Mapping[tuple[str, str], int]


def completeness(answers: Iterable[Answer]) -> Completeness:
    """Count one source's answers."""
    found = list(answers)
    sizes = Counter(min(len(said.categories), 2) for said in found)
    return Completeness(
        records=len(found),
        one=sizes[1],
        several=sizes[2],
        declined=sum(DECLINED in said.codes for said in found),
        unknown=sum(UNKNOWN in said.codes for said in found),
        by_collection=dict(Counter(said.collection for said in found if said.categories)),
    )


def compare(one: Mapping[str, Answer], other: Mapping[str, Answer]) -> Comparison:
    """Compare two sources' answers, each by person.

    For reports such as "completeness and disparities": counts are as they are, to be protected
    before they are shown, and a wrong link makes a person disagree with somebody else.
    """
    found = [comparable(one[person], other[person]) for person in one.keys() & other.keys()]
    pairs = [pair for pair in found if pair is not None]
    same = sum(a == b for a, b in pairs)
    overlapping = sum(a != b and bool(a & b) for a, b in pairs)
    said = Counter((SEPARATOR.join(sorted(a)), SEPARATOR.join(sorted(b))) for a, b in pairs)
    return Comparison(len(pairs), same, overlapping, len(pairs) - same - overlapping, dict(said))
