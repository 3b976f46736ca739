"""Tell a short code from what names a person: the rule behind `keep` without a list of codes.

- Refuses what looks like free text, an e-mail or street address, the number of a person, a
  telephone number or a full date; everything it lets through is plain ASCII.
- It cannot know a name from a category ("Mason" is a trade, a place and a person). A field that
  could hold names needs its codes listed in the manifest.
"""

from __future__ import annotations

import re

MAX_CODE = 64
MAX_WORDS = 3

# A quantity with few digits, which may well differ in every row.
AMOUNT = re.compile(r"[+-]?\d{1,6}(\.\d{1,6})?", re.ASCII)

_CODE = re.compile(r"[+-]?[A-Za-z0-9]([A-Za-z0-9 ._/:+()&%#<>=*-]*[A-Za-z0-9.)+%*])?|[<>]=?\d+")

_DATE = "looks like a full date; use the transform year or month"
_PHONE = "looks like a telephone number"
_YEAR = r"(?:1[89]|20)\d\d"
_NUMBER_31 = r"(?:0?[1-9]|[12]\d|3[01])"
_PADDED_31 = r"(?:0[1-9]|[12]\d|3[01])"
_MONTH_NAME = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_STREET = r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|way|place|pl)"

_LOOKS_LIKE = tuple(
    (re.compile(pattern, re.ASCII | re.IGNORECASE), fault)
    for pattern, fault in (
        (r"\S@\S", "looks like an e-mail address"),
        (r"(?<!\d)\d{3}([- ])\d{2}\1\d{4}(?!\d)", "looks like a social security number"),
        (r"(?<!\d)(\+?1[-. ]?)?(\(\d{3}\) ?|\d{3}[-. /])\d{3}[-. ]?\d{4}(?!\d)", _PHONE),
        (r"(?<![\d.])\d{3}[- ]\d{4}(?!\d)", _PHONE),
        (rf"(?<!\d){_YEAR}([-/. ])(0?[1-9]|1[0-2])\1{_NUMBER_31}(?!\d)", _DATE),
        (rf"(?<!\d){_NUMBER_31}([-/. ]){_NUMBER_31}\1(\d\d)?\d\d(?!\d)", _DATE),
        (rf"(?<!\d){_YEAR}(0[1-9]|1[0-2]){_PADDED_31}(?!\d)", _DATE),
        (rf"(?<!\d){_PADDED_31}{_PADDED_31}{_YEAR}(?!\d)", _DATE),
        (rf"(?<!\d)\d{{1,2}}(st|nd|rd|th)?[-. ]?{_MONTH_NAME}[-. ]?(\d\d)?\d\d(?!\d)", _DATE),
        (rf"\b{_MONTH_NAME}[-. ]?\d{{1,2}}(st|nd|rd|th)?[-. ]+\d{{4}}(?!\d)", _DATE),
        (r"(?<![\d.])\d{9,}", "holds nine or more digits in a row, as the number of a person does"),
        (rf"^\d+\w? .*\b{_STREET}\b", "looks like a street address"),
    )
)


def code_fault(text: str) -> str | None:
    """Why a cell may not pass as a short code, in words to put after "the cell"; or None."""
    if len(text) > MAX_CODE:
        return f"is longer than {MAX_CODE} characters: free text does not leave"
    if len(text.split()) > MAX_WORDS:
        return f"has more than {MAX_WORDS} words: free text does not leave"
    for pattern, fault in _LOOKS_LIKE:
        if pattern.search(text):
            return fault
    if not _CODE.fullmatch(text):
        return "is not a plain code; list the allowed codes in the manifest to send others"
    return None
