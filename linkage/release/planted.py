"""Find what identifies a person in a cell that should hold a code, however it is dressed up.

- A cell is looked at as it stands, in one spelling of its characters, read backwards, and decoded
  where it is percent-encoded, base64 or hexadecimal of printable text, also inside a longer code.
- The kinds are those of 45 CFR 164.514(b)(2)(i), as far as their form tells: dates, telephone and
  fax numbers, e-mail and street addresses, numbers of persons, accounts, licences, vehicles and
  devices, URLs, IP addresses, pictures and biometric files. Names and other identifiers without a
  form of their own are found by the agent, which knows its records (`linkage.agent.planted`).
- A message says the kind, never the cell.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote

_DATE = "looks like a full date; use the transform year, month or day"
_PHONE = "looks like a telephone number"
_ACCOUNT = "looks like the number of a person, an account, a licence or a device"
_ADDRESS = "looks like a street address"
_WEB = "looks like a web address"
_RUN = "holds nine or more digits in a row, as the number of a person does"
_PLACE = "looks like a place on a map"
_NETWORK = "looks like a network address"
_PICTURE = "looks like a picture, a recording or a biometric file"

_YEAR = r"(?:1[89]|20)\d\d"
_NUMBER_31 = r"(?:0?[1-9]|[12]\d|3[01])"
_PADDED_31 = r"(?:0[1-9]|[12]\d|3[01])"
_MONTH_NAME = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_STREET = (
    r"(?:street|st|avenue|ave|av|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|way|place|pl"
    r"|terrace|ter|circle|cir|highway|hwy|parkway|pkwy|apt|unit|suite|ste)"
)
_SEP = r"[\s._/-]"
_KEYWORD = (
    r"(?:mrn|ssn|ssi|dob|dln?|lic(?:en[cs]e)?|acct|account|iban|vin|plate|policy|member|medicaid"
    r"|medicare|hicn|mbi|imei|serial|sn|udi|passport|tel|phone|cell|mobile|fax|inmate|booking"
    r"|patient|client)"
)
_GLUE = r"[\W_]*(?:no|nr|num|number|id)?[\W_]*"
_ENDINGS = (
    r"(?:jpe?g|png|gif|bmp|tiff?|heic|webp|svg|dcm|wsq|an2|eft|nist|mp[34]|mov|avi|wav|m4a|pdf)"
)

_LOOKS_LIKE = tuple(
    (re.compile(pattern, re.ASCII | re.IGNORECASE), fault)
    for pattern, fault in (
        (r"\S\s?@\s?\S", "looks like an e-mail address"),
        (r"\S\s?[\[({]at[\])}]\s?\S", "looks like an e-mail address"),
        (r"(?<!\d)\d{3}([- ./_])\d{2}\1\d{4}(?!\d)", "looks like a social security number"),
        (r"(?<!\d)(\+?1[-. ]?)?(\(\d{3}\) ?|\d{3}[-. /_])\d{3}[-. _]?\d{4}(?!\d)", _PHONE),
        (r"(?<![\d.])\d{3}[- ]\d{4}(?!\d)", _PHONE),
        (rf"(?<!\d){_YEAR}({_SEP})(0?[1-9]|1[0-2])\1{_NUMBER_31}(?!\d)", _DATE),
        (rf"(?<!\d){_NUMBER_31}({_SEP}){_NUMBER_31}\1(\d\d)?\d\d(?!\d)", _DATE),
        (rf"(?<!\d){_YEAR}(0[1-9]|1[0-2]){_PADDED_31}(?!\d)", _DATE),
        (rf"(?<!\d){_PADDED_31}{_PADDED_31}{_YEAR}(?!\d)", _DATE),
        (rf"(?<!\d)\d{{1,2}}(st|nd|rd|th)?{_SEP}?{_MONTH_NAME}{_SEP}?(\d\d)?\d\d(?!\d)", _DATE),
        (rf"(?<![a-z]){_MONTH_NAME}{_SEP}?\d{{1,2}}(st|nd|rd|th)?[\s,._-]+\d{{4}}(?!\d)", _DATE),
        (r"(?<![\d.])\d{9,}", _RUN),
        (rf"(?<![a-z\d])\d+[a-z]?{_SEP}(?:[a-z\d]+{_SEP}){{0,3}}{_STREET}(?![a-z])", _ADDRESS),
        (r"(?<![a-z])p\.?\s?o\.?\s?box", _ADDRESS),
        (r"(?:https?|ftp|file)(?::|%3a)|://|www\.", _WEB),
        (r"[a-z0-9-]\.(?:com|org|net|edu|gov|mil|info|biz|us|io)(?![a-z0-9])", _WEB),
        (r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", _NETWORK),
        (r"(?<![0-9a-f])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{1,4}(?![0-9a-f:])", _NETWORK),
        (r"(?<![0-9a-f])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![0-9a-f])", _NETWORK),
        (rf"\.{_ENDINGS}(?![a-z0-9])", _PICTURE),
        (r"data:|base64,|[\\/](?:home|users|photos?|img|images)[\\/]", _PICTURE),
        (r"(?<![\d.])-?\d{1,3}\.\d{3,}[\s,;/]+-?\d{1,3}\.\d{3,}", _PLACE),
        (rf"(?<![a-z]){_KEYWORD}{_GLUE}[a-z]{{0,3}}[\W_]*\d(?:[\W_]?\d){{3}}", _ACCOUNT),
    )
)

_FRACTION = re.compile(r"[+-]?\d{1,6}\.\d+", re.ASCII)
_COORDINATE = re.compile(r"[+-]?\d{2,3}\.\d{4,}", re.ASCII)
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
MANY_DIGITS, LONG_NUMBER, ITS_DIGITS = 9, 8, 5

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}={0,2}", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-f]{2}[\s:-]?){4,}", re.ASCII | re.IGNORECASE)
_DEPTH = 2
_SPREAD = 7
_MOST_VIEWS = 32


def planted_fault(text: str, *, numbers: bool = True) -> str | None:
    """What a cell seems to hold of a person, in words to put after "the cell"; or None.

    Args:
        numbers: refuse long numbers, which are a person's or a device's; the ids of sites are such.
    """
    if _FRACTION.fullmatch(text):
        # A quantity, whatever its digits look like.
        return _PLACE if _COORDINATE.fullmatch(text) else None
    if UUID.fullmatch(text) and not numbers:
        return None
    for view in views(text):
        for pattern, fault in _LOOKS_LIKE:
            if pattern.search(view) and (numbers or fault not in (_ACCOUNT, _RUN)):
                return fault
    return _number_fault(text) if numbers else None


def _number_fault(text: str) -> str | None:
    """Long numbers, however they are cut up."""
    for view in views(text)[::2]:  # backwards has as many digits
        short = squash(view)
        digits = sum(c.isdigit() for c in short)
        if digits >= MANY_DIGITS:
            return "holds nine or more digits, as the number of a person does"
        if len(short) >= LONG_NUMBER and digits >= ITS_DIGITS and digits < len(short):
            return _ACCOUNT
    return None


def squash(text: str) -> str:
    """Letters and digits alone, without case, marks and separators."""
    spread = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in spread if c.isalnum())


@lru_cache(maxsize=1 << 16)
def views(text: str) -> tuple[str, ...]:
    """What a cell may be meant to be read as: each reading, followed by itself backwards."""
    found = dict.fromkeys([_plain(text)])
    new = list(found)
    for _ in range(_DEPTH):
        new = [view for one in new for view in _decoded(one) if view not in found]
        found |= dict.fromkeys(new[: _MOST_VIEWS - len(found)])
    return tuple(view for one in found for view in (one, one[::-1]))


def decoded(text: str) -> tuple[str, ...]:
    """The readings of a cell that had to be decoded."""
    return views(text)[2:]


def _plain(text: str) -> str:
    seen = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cs", "Mn"))
    folded = unicodedata.normalize("NFKC", seen)
    dashed = "".join("-" if unicodedata.category(c) == "Pd" else c for c in folded)
    digits = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in dashed)
    return digits.replace("−", "-")


def _decoded(text: str) -> Iterator[str]:
    if len(text) >= _SPREAD and len(set(text[1::2])) == 1 and not text[1].isalnum():
        yield text[::2]
    if "%" in text:
        yield _plain(unquote(text))
    if "&" in text:
        yield _plain(html.unescape(text))
    for match in _BASE64.finditer(text):
        yield from _printable(_from_base64(match[0]))
        yield from _printable(_from_base64(match[0][::-1]))
    for match in _HEX.finditer(text):
        yield from _printable(bytes.fromhex(re.sub(r"[\s:-]", "", match[0])))


def _from_base64(text: str) -> bytes:
    short = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(short + "=" * (-len(short) % 4))
    except (binascii.Error, ValueError):
        return b""


def _printable(raw: bytes) -> Iterator[str]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return
    if len(text) > 2 and text.isprintable():
        yield _plain(text)
