"""The sections of a page as plain text, for a terminal, a letter or a printer.

The same sections give the same text. A table of two columns is a list of terms; a wider one is
written row by row, each cell under the name of its column.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from linkage.reports.html import Block, Chart, DataTable, Paragraph, Section

WIDTH = 88
_NARROW = 34


def as_text(title: str, sections: Sequence[Section], *, subtitle: str = "") -> str:
    """The whole text; ends without a newline."""
    lines = [*_wrapped(title), *(_wrapped(subtitle) if subtitle else [])]
    for number, section in enumerate(sections, start=1):
        head = f"{number}. {section.title}"
        lines += ["", head, "-" * len(head)]
        for block in section.blocks:
            lines += ["", *_block(block)] if not isinstance(block, Paragraph) else _block(block)
    return "\n".join(lines)


def _block(block: Block) -> list[str]:
    if isinstance(block, Paragraph):
        return _wrapped(block.text, "!! " if block.warning else "")
    if isinstance(block, DataTable):
        return list(_table(block))
    if isinstance(block, Chart):
        return [*_wrapped(f"{block.title}: {block.description}"), *(_of(block.data))]
    return [f"{one.label}: {one.value} {one.note}".rstrip() for one in block.figures]


def _of(table: DataTable | None) -> list[str]:
    return [] if table is None else list(_table(table))


def _table(table: DataTable) -> Iterator[str]:
    yield f"{table.caption}:"
    for row in table.rows:
        head, *cells = ("" if cell is None else str(cell) for cell in row)
        if len(cells) == 1:
            yield from _term(head, cells[0])
            continue
        yield from _wrapped(head, "  ")
        for column, cell in zip(table.columns[1:], cells, strict=True):
            if cell:
                yield from _wrapped(f"{column}: {cell}" if column else cell, "    ")
    if table.note:
        yield from _wrapped(table.note, "  ")


def _term(head: str, cell: str) -> list[str]:
    """`head  cell`, side by side where both are short."""
    wrapped = _wrapped(cell, " " * (_NARROW + 4)) or [""]
    if len(head) > _NARROW or max(map(len, wrapped)) > WIDTH:
        return [*_wrapped(head, "  "), *_wrapped(cell, "    ")]
    return [f"  {head:<{_NARROW}}  {wrapped[0].strip()}".rstrip(), *wrapped[1:]]


def _wrapped(text: str, indent: str = "") -> list[str]:
    after = " " * len(indent)
    lines: list[str] = []
    for number, part in enumerate(text.splitlines()):
        lines += textwrap.wrap(
            part,
            WIDTH,
            initial_indent=after if number else indent,
            subsequent_indent=after,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines
