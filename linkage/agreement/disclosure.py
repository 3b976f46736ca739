"""What the disclosure gate asks of everything that leaves the assembler."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from linkage.agreement.checks import distinct, subset
from linkage.agreement.fields import Name, Strict
from linkage.agreement.models import MODELS
from linkage.agreement.parties import PublicKey

Qualified = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,126}\.[a-z][a-z0-9_-]{0,62}$")
]
TableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,126}$")]

CodeText = Annotated[str, StringConstraints(pattern=r"^[\w][\w .,()/+-]{0,62}$")]
MAX_COMBINATIONS = 24

QUASI_IDENTIFIERS = (
    "race_ethnicity",
    "sex",
    "age_band",
    "county",
    "municipality",
    "zip3",
    "tract",
)


class CheckerKey(Strict):
    """A person who checks extracts before they leave the assembler.

    Attributes:
        name: for people and for the sign-off.
        key: the Ed25519 public key, 64 hex digits, as `linkage evaluator checker-key` prints it.
    """

    name: Name
    title: Annotated[str, StringConstraints(max_length=200)] = ""
    key: PublicKey


class CountTable(Strict):
    """A table of counts that the assembler makes, protects and puts into every extract.

    Attributes:
        name: of the table.
        of: the extract's table that is counted, PARTNER_TABLE.
        by: the columns it is broken down by.
        count: its rows, or the people who have any.
    """

    name: Name
    of: TableName
    by: Annotated[tuple[Name, ...], Field(min_length=1, max_length=5, strict=False)]
    count: Literal["rows", "people"] = "rows"


class Coarser(Strict):
    """A coarser form that a quasi-identifier of persons may take, where the gate would otherwise
    take away more. Exactly one of `years`, `digits` and `mapping` says how.

    Attributes:
        name: of it, for people: county, twenty years.
        means: the quasi-identifier; of one with several forms, the finest stands first.
        years: age bands of so many years, a multiple of ten.
        digits: as many characters of a code as are kept: 5 of a tract are its county.
        mapping: the coarser code of each code; one that is not there is missing then.
        becomes: the term that the coarser form means, such as county; an age band stays one.
    """

    name: Name
    means: Name
    becomes: Name | None = None
    years: Annotated[int, Field(ge=20, le=50)] | None = None
    digits: Annotated[int, Field(ge=1, le=20)] | None = None
    mapping: Annotated[dict[CodeText, CodeText], Field(min_length=1, max_length=10_000)] | None = (
        None
    )

    @model_validator(mode="after")
    def _consistent(self) -> Coarser:
        if sum(how is not None for how in (self.years, self.digits, self.mapping)) != 1:
            raise ValueError("give exactly one of years, digits and mapping")
        if self.years is not None and (self.years % 10 or self.means != "age_band"):
            raise ValueError("years: a multiple of ten, of age_band")
        if self.becomes is not None and self.years is not None:
            raise ValueError("becomes: a wider age band means the same")
        if self.means == "race_ethnicity":
            raise ValueError("means: race and ethnicity take no coarser form; they would say more")
        return self


class Disclosure(Strict):
    """The rules of the disclosure gate.

    Attributes:
        min_cell: the smallest count of a table that may be shown, beside 0.
        k: persons who are alike in all quasi-identifiers, at the least; 1 leaves rows as they are.
        l: distinct values that each sensitive column has among persons who are alike.
        quasi_identifiers: terms of the minimal models by which a person may be known, the most
            important first; values of the last are suppressed first.
        coarser: coarser forms of quasi-identifiers that columns of persons may take as a whole; of
            all combinations the gate takes the one that loses least.
        sensitive: columns for `l`, as PARTNER_TABLE.COLUMN.
        rounding: shown counts are rounded to multiples of this; 1 leaves them exact.
        most_suppressed: the largest share of a table's cells other than 0, or of a column's
            quasi-identifying values, that may be suppressed.
        tables: tables of counts in every extract.
        checkers: who may sign off extracts, with their keys.
        two_checkers: no extract is finished before two different checkers have signed it off.
    """

    min_cell: Annotated[int, Field(ge=2, le=1000)] = 11
    k: Annotated[int, Field(ge=1, le=1000)] = 11
    l: Annotated[int, Field(ge=1, le=100)] = 1  # noqa: E741
    quasi_identifiers: Annotated[tuple[Name, ...], Field(max_length=10, strict=False)] = (
        QUASI_IDENTIFIERS
    )
    coarser: Annotated[tuple[Coarser, ...], Field(max_length=10, strict=False)] = ()
    sensitive: Annotated[tuple[Qualified, ...], Field(max_length=20, strict=False)] = ()
    rounding: Annotated[int, Field(ge=1, le=100)] = 1
    most_suppressed: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    tables: Annotated[tuple[CountTable, ...], Field(max_length=50, strict=False)] = ()
    checkers: Annotated[tuple[CheckerKey, ...], Field(max_length=16, strict=False)] = ()
    two_checkers: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Disclosure:
        distinct("quasi_identifiers", list(self.quasi_identifiers))
        known = {term for terms in MODELS.values() for term in terms}
        subset("quasi_identifiers", self.quasi_identifiers, known, what="term")
        distinct("coarser", [one.name for one in self.coarser])
        forms = Counter(one.means for one in self.coarser)
        subset("coarser: means", list(forms), set(self.quasi_identifiers), what="term")
        becomes = {one.becomes for one in self.coarser if one.becomes is not None}
        subset("coarser: becomes", sorted(becomes), known, what="term")
        if prod(count + 1 for count in forms.values()) > MAX_COMBINATIONS:
            raise ValueError(f"coarser: more than {MAX_COMBINATIONS} combinations")
        distinct("tables", [one.name for one in self.tables])
        for table in self.tables:
            distinct(f"table {table.name!r}: by", list(table.by))
        distinct("checkers", [one.name for one in self.checkers])
        distinct("checkers: keys", [one.key for one in self.checkers])
        if self.two_checkers and len(self.checkers) < 2:
            raise ValueError(
                "two_checkers: name at least two checkers, with their keys, under checkers"
            )
        return self
