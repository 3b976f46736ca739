"""Text that others wrote, so that none of its characters can hide or move another."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from linkage.reports.html import Block, DataTable, Paragraph, Section

_HIDDEN = {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"}


def visible_section(section: Section) -> Section:
    """A section in which no character of the manifest can hide or move another."""
    blocks: list[Block] = []
    for block in section.blocks:
        if isinstance(block, Paragraph):
            blocks.append(replace(block, text=visible(block.text)))
        elif isinstance(block, DataTable):
            rows = [[visible(c) if isinstance(c, str) else c for c in row] for row in block.rows]
            blocks.append(replace(block, caption=visible(block.caption), rows=rows))
    return Section(section.title, blocks)


def visible(text: str) -> str:
    """The text with control, direction and invisible characters written out as their numbers."""
    return "".join(
        char
        if char == "\n" or unicodedata.category(char) not in _HIDDEN
        else f"<U+{ord(char):04X}>"
        for char in text
    )
