"""Self-contained HTML pages: text, key figures, tables and charts, and nothing to run or fetch.

- One file, inline style, no script, no resource from elsewhere; the page's own content-security
  policy forbids both.
- Everything given to a page is text and is escaped. Only a `Chart`'s drawing is markup, and
  only `linkage.reports.charts` makes those.
- A table stands beside every chart: what is drawn can also be read.
- The same content gives the same bytes.

    page("Linkage quality", [Section("Links", [Paragraph("..."), DataTable(...)])])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

Cell = str | int | float | bool | None

NOT_KNOWN = "–"


@dataclass(frozen=True)
class Paragraph:
    """Plain text; `warning` sets it apart as something to act on."""

    text: str
    warning: bool = False
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Figure:
    """One number worth saying first."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class KeyFigures:
    figures: Sequence[Figure]
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True)
class DataTable:
    """A table; the first column heads its rows.

    Attributes:
        rows: cells are shown as they are; numbers and `count` or `percent` texts align right.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    kind: ClassVar[str] = "table"

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers, and so aligns right."""
        cells = [row[column] for row in self.rows if row[column] not in (None, "", NOT_KNOWN)]
        return bool(cells) and column > 0 and all(_is_number(cell) for cell in cells)


@dataclass(frozen=True)
class Chart:
    """A drawing with words for those who do not see it.

    Attributes:
        description: what the drawing shows, in a sentence or two.
        data: the same numbers as a table.
    """

    svg: Markup
    title: str
    description: str
    data: DataTable | None = None
    kind: ClassVar[str] = "chart"


Block = Paragraph | KeyFigures | DataTable | Chart


@dataclass(frozen=True)
class Section:
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def page(title: str, sections: Sequence[Section], *, subtitle: str = "", lang: str = "en") -> str:
    """The whole page as HTML text."""
    template = _ENVIRONMENT.get_template("page.html")
    return template.render(
        title=title, subtitle=subtitle, lang=lang, sections=[_Numbered(*n) for n in _each(sections)]
    )


def count(value: int | None) -> str:
    """A whole number for reading: 1,234."""
    return NOT_KNOWN if value is None else f"{value:,}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share for reading: 97.3%."""
    return NOT_KNOWN if value is None else f"{100 * value:.{digits}f}%"


def decimal(value: float | None, digits: int = 3) -> str:
    """A measure for reading: 0.973."""
    return NOT_KNOWN if value is None else f"{value:.{digits}f}"


@dataclass(frozen=True)
class _Numbered:
    number: int
    section: Section


def _each(sections: Sequence[Section]) -> list[tuple[int, Section]]:
    return list(enumerate(sections, start=1))


def _is_number(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell[:1].isdigit() or (cell[:1] in "+-<" and cell[1:2].isdigit())
    return not isinstance(cell, bool)


def _shown(cell: Cell) -> str:
    if cell is None:
        return NOT_KNOWN
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


_ENVIRONMENT = Environment(
    loader=PackageLoader("linkage.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["shown"] = _shown
