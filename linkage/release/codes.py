"""Tell a short code from what names a person: the rule behind `keep` without a list of codes.

- Refuses what looks like free text, or like an identifier of a person, plain or dressed up (see
  `planted`); everything it lets through is plain ASCII.
- It cannot know a name from a category ("Mason" is a trade, a place and a person). A field that
  could hold names needs its codes listed in the manifest.
"""

from __future__ import annotations

import re

from linkage.release.planted import planted_fault

MAX_CODE = 64
MAX_WORDS = 3

# A quantity with few digits, which may well differ in every row.
AMOUNT = re.compile(r"[+-]?\d{1,6}(\.\d{1,6})?", re.ASCII)

_CODE = re.compile(r"[+-]?[A-Za-z0-9]([A-Za-z0-9 ._/:+()&%#<>=*-]*[A-Za-z0-9.)+%*])?|[<>]=?\d+")


def code_fault(text: str, *, numbers: bool = True) -> str | None:
    """Why a cell may not pass as a short code, in words to put after "the cell"; or None.

    Args:
        numbers: refuse long numbers, which are a person's or a device's; the ids of sites are such.
    """
    if len(text) > MAX_CODE:
        return f"is longer than {MAX_CODE} characters: free text does not leave"
    if len(text.split()) > MAX_WORDS:
        return f"has more than {MAX_WORDS} words: free text does not leave"
    if fault := planted_fault(text, numbers=numbers):
        return fault
    if not _CODE.fullmatch(text):
        return "is not a plain code; list the allowed codes in the manifest to send others"
    return None
