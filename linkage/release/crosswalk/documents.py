"""The documents of a crosswalk, each with one JSON form.

- `inventory/1`: how often an agency uses its codes, as far as it may say so.
- `codes/1`: a list of standard codes with name and version.
- `crosswalk/1`: agency and local code → standard code, with who decided it, when and how surely.
- The canonical form (RFC 8785) is what is written, so a document's digest is the SHA-256 of its
  file.
- A document from outside is bounded in size and in the number of its entries. All that is wrong
  is said at once, by entry and field, never with a cell of a file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from linkage.agreement.canonical import canonical, fingerprint
from linkage.agreement.fields import Name, Strict
from linkage.errors import InputError, LimitError, Problem, SourceError

MAX_BYTES = 16 << 20
MAX_AGENCIES = 1000
MAX_CODES = 5000
"""Most codes of one agency."""
MAX_MAPPINGS = 100_000
MAX_STANDARD = 20_000
MAX_ROWS = 1 << 40
LEAST_THRESHOLD = 3
MAX_CHAIN = 20
"""Most codes that may have taken each other's place, one after the other."""


def clean_code(text: str) -> str:
    """A cell as a code: without surrounding blanks, inner ones single."""
    return " ".join(text.split())


def _plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed")
    if text != clean_code(text):
        raise ValueError("has blanks before, after, or two in a row")
    return text


Agency = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$")]
Local = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_plain)]
Standard = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._:/&+()-]{0,62}$")]
Words = Annotated[str, StringConstraints(max_length=300), AfterValidator(_plain)]
Author = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_plain)]
Note = Annotated[str, StringConstraints(max_length=500), AfterValidator(_plain)]
Version = Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(_plain)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Rows = Annotated[int, Field(ge=0, le=MAX_ROWS)]
Confidence = Literal["high", "medium", "low"]


class Document(Strict):
    """What all of them have: a canonical form and its digest, and that they say their kind."""

    linkage: str

    @cached_property
    def canonical(self) -> bytes:
        return canonical(self.model_dump(mode="json"))

    @cached_property
    def digest(self) -> str:
        return fingerprint(self.canonical)


class CodeCount(Strict):
    """One local code of an inventory.

    Attributes:
        rows: how often it stands; None where that is not shown.
        description: the agency's own words for it, where they may be shared.
    """

    code: Local
    rows: Rows | None
    description: Words = ""


class Inventory(Document):
    """How often one agency uses its own codes, as far as it may say so.

    Attributes:
        threshold: counts below it are not shown, nor what would give them away.
        rows: of the whole file.
        codes: by falling number of rows, those without a number last.
        empty: rows without a code; None where that is not shown.
        unnamed: how many different values are not named, being rare or like free text.
        rest: rows of everything whose own number is not shown.
    """

    linkage: Literal["inventory/1"]
    agency: Agency
    threshold: Annotated[int, Field(ge=LEAST_THRESHOLD, le=1_000_000)]
    rows: Rows
    codes: Annotated[tuple[CodeCount, ...], Field(max_length=MAX_CODES, strict=False)]
    empty: Rows | None
    unnamed: Rows
    rest: Rows

    @property
    def named(self) -> frozenset[str]:
        return frozenset(entry.code for entry in self.codes)


class StandardCode(Strict):
    """One code of a standard list.

    Attributes:
        also: other words for it, which help suggestions only.
        merged_into: the code of the list that took its place; no crosswalk may use this one.
    """

    code: Standard
    description: Words = ""
    also: Annotated[tuple[Words, ...], Field(max_length=50, strict=False)] = ()
    merged_into: Standard | None = None


class StandardList(Document):
    """A list of standard codes.

    Attributes:
        source: where it is from, for people.
    """

    linkage: Literal["codes/1"]
    name: Name
    version: Version
    title: Words = ""
    source: Words = ""
    codes: Annotated[
        tuple[StandardCode, ...], Field(min_length=1, max_length=MAX_STANDARD, strict=False)
    ]

    @cached_property
    def by_code(self) -> dict[str, StandardCode]:
        return {entry.code: entry for entry in self.codes}

    @property
    def reference(self) -> ListReference:
        return ListReference(name=self.name, version=self.version, digest=self.digest)


class ListReference(Strict):
    """The one list that a crosswalk's standard codes are of."""

    name: Name
    version: Version
    digest: Digest


class CodeMapping(Strict):
    """What one local code of one agency means, as a person decided.

    Attributes:
        standard: the standard code.
        merged_into: instead, another local code of the same agency that took its place.
    """

    agency: Agency
    local: Local
    standard: Standard | None = None
    merged_into: Local | None = None
    confidence: Confidence
    author: Author
    date: Annotated[dt.date, Field(strict=False)]
    note: Note = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.agency, self.local


class Crosswalk(Document):
    """A version of a crosswalk.

    Attributes:
        previous: digest of the version that this one was made from.
        codes: the list that the standard codes are of.
        agencies: those whose codes may be mapped.
        mappings: in order of agency and local code.
    """

    linkage: Literal["crosswalk/1"]
    name: Name
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    previous: Digest | None = None
    codes: ListReference
    agencies: Annotated[tuple[Agency, ...], Field(max_length=MAX_AGENCIES, strict=False)]
    mappings: Annotated[tuple[CodeMapping, ...], Field(max_length=MAX_MAPPINGS, strict=False)] = ()

    @cached_property
    def by_key(self) -> dict[tuple[str, str], CodeMapping]:
        return {entry.key: entry for entry in self.mappings}


T = TypeVar("T", bound=Document)


def parse(model: type[T], data: bytes, source: str) -> T:
    """Read a document's shape; whether it is sound is for `checking`.

    Raises:
        LimitError: larger than 16 MiB.
        InputError: it is not such a document.
        SourceError: it is one, and entries are wrong; names every entry and field.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(f"{source} is larger than {MAX_BYTES} bytes")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    wrong = ("json_invalid", "model_type")
    if any(item["type"] in wrong or item["loc"] == ("linkage",) for item in found):
        (kind,) = get_args(model.model_fields["linkage"].annotation)
        raise InputError(f"{source} is not a JSON document of the kind {kind}")
    raise faulty(source, [_problem(item["loc"], item["msg"]) for item in found])


def faulty(source: str, problems: Iterable[Problem]) -> SourceError:
    """The error that names entries of a document, the first thousand of them."""
    every = sorted(problems)
    return SourceError(
        source,
        every[:1000],
        total=len(every),
        remedy="A row is the place of an entry in the document, from 1",
    )


def _problem(place: tuple[str | int, ...], message: str) -> Problem:
    row = next((part + 1 for part in place if isinstance(part, int)), 0)
    field = ".".join(part for part in place if isinstance(part, str)) or "document"
    return Problem(row, field, message.removeprefix("Value error, "))
