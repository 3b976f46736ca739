"""Words that mean the same, or nothing, in names and addresses.

- Keys and values are already casefolded, without marks or punctuation.
- Part of the encoding: two partners with different lists would not meet, so a change here is a
  change of scheme version.
"""

from __future__ import annotations

from types import MappingProxyType

# fmt: off
HONORIFICS = frozenset({
    "mr", "mrs", "ms", "miss", "mx", "mme", "dr", "doctor", "prof", "professor", "rev", "reverend",
    "sir", "madam",
})
"""Dropped from the start of a name."""

SUFFIXES = frozenset({
    "jr", "junior", "sr", "senior", "ii", "iii", "iv", "2nd", "3rd", "4th", "esq", "esquire",
    "phd", "md",
})
"""Dropped from the end of a name."""

PARTICLES = frozenset({
    "af", "al", "av", "bin", "bint", "da", "das", "de", "del", "della", "den", "der", "des", "di",
    "do", "dos", "du", "el", "ibn", "la", "las", "le", "les", "lo", "los", "mac", "mc", "o", "st",
    "ten", "ter", "van", "vom", "von", "zu", "zum", "zur",
})
"""Joined to the word that follows: `van der berg` and `vanderberg` become one text."""
# fmt: on

NAME_WORDS = MappingProxyType({"saint": "st"})
"""Words of names with one spelling for all."""

CITY_WORDS = MappingProxyType(
    {
        "saint": "st",
        "sainte": "ste",
        "fort": "ft",
        "mount": "mt",
        "mountain": "mtn",
        "north": "n",
        "south": "s",
        "east": "e",
        "west": "w",
        "heights": "hts",
        "township": "twp",
    }
)

ADDRESS_WORDS = MappingProxyType(
    {
        # directions
        "north": "n",
        "south": "s",
        "east": "e",
        "west": "w",
        "northeast": "ne",
        "northwest": "nw",
        "southeast": "se",
        "southwest": "sw",
        # kinds of street (USPS Publication 28, appendix C1)
        "alley": "aly",
        "avenue": "ave",
        "av": "ave",
        "aven": "ave",
        "avenu": "ave",
        "avn": "ave",
        "boulevard": "blvd",
        "boul": "blvd",
        "boulv": "blvd",
        "bridge": "brg",
        "bypass": "byp",
        "center": "ctr",
        "centre": "ctr",
        "circle": "cir",
        "circ": "cir",
        "circl": "cir",
        "court": "ct",
        "courts": "cts",
        "cove": "cv",
        "creek": "crk",
        "crescent": "cres",
        "crossing": "xing",
        "drive": "dr",
        "driv": "dr",
        "drv": "dr",
        "estate": "est",
        "estates": "ests",
        "expressway": "expy",
        "extension": "ext",
        "freeway": "fwy",
        "garden": "gdn",
        "gardens": "gdns",
        "grove": "grv",
        "harbor": "hbr",
        "heights": "hts",
        "highway": "hwy",
        "hiway": "hwy",
        "hill": "hl",
        "hills": "hls",
        "hollow": "holw",
        "island": "is",
        "junction": "jct",
        "lake": "lk",
        "lakes": "lks",
        "landing": "lndg",
        "lane": "ln",
        "meadow": "mdw",
        "meadows": "mdws",
        "mount": "mt",
        "mountain": "mtn",
        "parkway": "pkwy",
        "parkwy": "pkwy",
        "pkway": "pkwy",
        "pky": "pkwy",
        "place": "pl",
        "plaza": "plz",
        "point": "pt",
        "port": "prt",
        "ridge": "rdg",
        "river": "riv",
        "road": "rd",
        "route": "rte",
        "spring": "spg",
        "springs": "spgs",
        "square": "sq",
        "station": "sta",
        "street": "st",
        "str": "st",
        "strt": "st",
        "saint": "st",
        "terrace": "ter",
        "terr": "ter",
        "trail": "trl",
        "turnpike": "tpke",
        "valley": "vly",
        "view": "vw",
        "village": "vlg",
        "vista": "vis",
        "fort": "ft",
        # parts of a building (appendix C2)
        "apartment": "apt",
        "appartment": "apt",
        "building": "bldg",
        "department": "dept",
        "floor": "fl",
        "room": "rm",
        "suite": "ste",
        "trailer": "trlr",
        "unit": "apt",
        "lower": "lowr",
        "upper": "uppr",
        "basement": "bsmt",
        "penthouse": "ph",
        "space": "spc",
        "number": "no",
        # numbered streets
        "first": "1st",
        "second": "2nd",
        "third": "3rd",
        "fourth": "4th",
        "fifth": "5th",
        "sixth": "6th",
        "seventh": "7th",
        "eighth": "8th",
        "ninth": "9th",
        "tenth": "10th",
    }
)

UNIT_WORDS = frozenset({"apt", "bldg", "dept", "fl", "lot", "rm", "spc", "ste", "trlr"})
"""Parts of a building that a number or letter follows."""

SEXES = MappingProxyType(
    {
        **dict.fromkeys(["m", "male", "man", "boy", "masculine", "1"], "m"),
        **dict.fromkeys(["f", "female", "woman", "girl", "feminine", "2"], "f"),
        **dict.fromkeys(["x", "other", "nonbinary", "nb", "diverse", "d", "intersex", "3"], "x"),
    }
)
"""Common codes of sex and gender; 1 and 2 as in ISO/IEC 5218, whose 0 and 9 mean not known."""

TRANSLITERATION = MappingProxyType(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ð": "d",
        "đ": "d",
        "ɖ": "d",
        "ɗ": "d",
        "þ": "th",
        "ł": "l",
        "ħ": "h",
        "ı": "i",
        "ɨ": "i",
        "ŋ": "ng",
        "ŧ": "t",
        "ɓ": "b",
        "ƙ": "k",
        "ĸ": "k",
        "ƴ": "y",
        "ə": "e",
        "ɛ": "e",
        "ɔ": "o",
        "ʉ": "u",
    }
)
"""Latin letters that Unicode does not decompose into an ASCII letter and a mark.

Other scripts are never transliterated. `ß` is not listed: full case folding makes it `ss`.
"""
