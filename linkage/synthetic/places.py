"""Prairie County: an invented county's municipalities, tracts, streets and police departments.

- Nothing here exists: state code 99, ZIP codes 578xx and 579xx and 555 telephone numbers are
  assigned to nobody.
- Every department has its own codes for the same kinds of call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

COUNTY = "Prairie County"
COUNTY_CODE = "99901"

AREA_CODES = (605, 701, 308, 531, 402, 406, 307, 712, 515, 319, 563, 641, 507, 218, 320, 952)


@dataclass(frozen=True)
class Municipality:
    """One town.

    Attributes:
        share: of the county's households.
        zips: its ZIP codes.
        tracts: how many census tracts it has.
        groups: shares of the households by group, in the order of `names.GROUPS`.
        treated: planted share of people with a crisis call who start treatment within 30 days of
            their first call.
        centre: where it lies, in kilometres.
        funded: planted spending on social services per resident and year, dollars.
        short: how some agencies abbreviate its name.
    """

    name: str
    share: float
    zips: tuple[str, ...]
    tracts: int
    groups: tuple[float, ...]
    treated: float
    short: str
    centre: tuple[float, float]
    funded: float


_RURAL = (0.82, 0.02, 0.08, 0.02, 0.05, 0.005, 0.005)
_CITY = (0.58, 0.15, 0.17, 0.05, 0.02, 0.02, 0.01)

MUNICIPALITIES = (
    Municipality(
        "Prairie City",
        0.36,
        ("57801", "57802", "57803", "57804"),
        12,
        _CITY,
        0.30,
        "PRAIRIE CTY",
        (45.0, 30.0),
        62.0,
    ),
    Municipality(
        "Millbrook",
        0.15,
        ("57810", "57811"),
        5,
        (0.66, 0.10, 0.15, 0.05, 0.01, 0.02, 0.01),
        0.26,
        "MILLBRK",
        (20.0, 34.0),
        48.0,
    ),
    Municipality(
        "Cedar Bluff", 0.12, ("57820", "57821"), 4, _RURAL, 0.22, "CEDAR BLF", (68.0, 44.0), 35.0
    ),
    Municipality(
        "Fort Harlan",
        0.10,
        ("57830",),
        4,
        (0.52, 0.22, 0.14, 0.05, 0.02, 0.02, 0.03),
        0.18,
        "FT HARLAN",
        (62.0, 12.0),
        22.0,
    ),
    Municipality(
        "Sandhill",
        0.08,
        ("57840",),
        3,
        (0.40, 0.03, 0.50, 0.02, 0.04, 0.005, 0.005),
        0.10,
        "SANDHILL",
        (15.0, 8.0),
        12.0,
    ),
    Municipality(
        "Willow Creek", 0.07, ("57850",), 2, _RURAL, 0.24, "WILLOW CRK", (38.0, 52.0), 40.0
    ),
    Municipality("New Bergen", 0.05, ("57901",), 2, _RURAL, 0.20, "N BERGEN", (84.0, 26.0), 30.0),
    Municipality("St. Olaf", 0.04, ("57910",), 1, _RURAL, 0.14, "SAINT OLAF", (5.0, 56.0), 0.0),
    Municipality(
        "Antelope Flats",
        0.03,
        ("57920",),
        1,
        (0.38, 0.01, 0.08, 0.01, 0.51, 0.005, 0.005),
        0.08,
        "ANTELOPE FLT",
        (92.0, 60.0),
        0.0,
    ),
)


def tracts_of(index: int) -> tuple[str, ...]:
    """The 11-digit tract codes of a municipality."""
    return tuple(
        f"{COUNTY_CODE}{index + 1:02d}{tract + 1:02d}00"
        for tract in range(MUNICIPALITIES[index].tracts)
    )


def centroids() -> pd.DataFrame:
    """Where every tract lies: `GEOID`, `municipality`, `x` and `y` in kilometres.

    A town's first tract is its centre, the others lie round it.
    """
    rows = []
    for index, town in enumerate(MUNICIPALITIES):
        for place, tract in enumerate(tracts_of(index)):
            angle = 2.4 * place
            away = 2.2 * place**0.5
            x = town.centre[0] + away * np.cos(angle)
            y = town.centre[1] + away * np.sin(angle)
            rows.append((tract, town.name, round(float(x), 2), round(float(y), 2)))
    return pd.DataFrame(rows, columns=["GEOID", "municipality", "x", "y"])


TRACTS = tuple(tract for index in range(len(MUNICIPALITIES)) for tract in tracts_of(index))

CALL_KINDS = ("mental_health", "suicide", "welfare_check", "substance_use")

DEPARTMENTS: Mapping[str, tuple[int | None, tuple[str, str, str, str]]] = {
    "PRCPD": (0, ("10-96", "10-56A", "10-59", "10-55D")),
    "PRCUNIV": (0, ("MHC", "SUI", "WELCHK", "OD")),
    "TRANSIT": (0, ("96T", "56T", "59T", "55T")),
    "MBPD": (1, ("5150", "5150S", "CW", "11550")),
    "CBPD": (2, ("SIG 20", "SIG 27", "SIG 14", "SIG 33")),
    "FHPD": (3, ("918", "918V", "917", "924")),
    "SHPD": (4, ("EDP", "EDP-S", "CKWEL", "NARC-M")),
    "WCPD": (5, ("7M", "7S", "7W", "7D")),
    "NBPD": (6, ("25A1", "25D2", "25B6", "23C1")),
    "SOPD": (7, ("MENTAL", "SUICIDAL", "CHECK", "OVERDOSE")),
    "AFTPD": (8, ("BH-1", "BH-2", "BH-3", "BH-4")),
    "PCSO": (None, ("96", "96S", "61", "67")),
    "STPAT": (None, ("1013", "1013S", "1045", "1050")),
}
"""Department to the municipality it polices (None: everywhere) and its codes by `CALL_KINDS`."""

_NAMED_STREETS = """
Maple Oak Elm Cedar Pine Walnut Birch Ash Spruce Willow Cottonwood Chestnut Poplar Hickory Main
Church School Mill Park Lake River Hill Ridge Valley Meadow Prairie Sunset Sunrise Washington
Jefferson Lincoln Adams Madison Monroe Jackson Grant Harrison Cleveland Wilson Franklin Douglass
Roosevelt Kennedy Truman Market Commerce Railroad Depot Union Liberty Court Spring Highland
Fairview Lakeview Pleasant Orchard Garden Grove Forest Country Farm Dakota Cheyenne Cherokee Sioux
Pawnee Ponca Omaha Platte Missouri Kansas Colorado Nebraska Harlan Bergen Olson Larson Schmidt
Keller Brandt Novak Ramirez Delgado Carver Tubman King Chavez Bluebird Meadowlark Pheasant Quail
Heron Eagle Hawk Antelope Buffalo Elkhorn Coyote
"""
_NUMBERED_STREETS = """
1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th 11th 12th 13th 14th 15th 16th 17th 18th 19th 20th 21st
22nd 23rd 24th 25th 26th 27th 28th 29th 30th 31st 32nd 33rd 34th 35th 36th 37th 38th 39th 40th
"""
_STREETS = (_NAMED_STREETS + _NUMBERED_STREETS).split()
_TYPES = ("Street", "Avenue", "Road", "Drive", "Lane", "Court", "Boulevard", "Place")
_TYPE_SHARES = (0.36, 0.22, 0.12, 0.12, 0.07, 0.05, 0.03, 0.03)
_DIRECTIONS = ("", "North ", "South ", "East ", "West ")


def draw_towns(count: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Municipality numbers, as often as their shares."""
    shares = [town.share for town in MUNICIPALITIES]
    return rng.choice(len(MUNICIPALITIES), count, p=shares).astype(np.int64)


def draw_dwellings(
    towns: np.ndarray[tuple[int], np.dtype[np.int64]], rng: np.random.Generator
) -> pd.DataFrame:
    """One dwelling in each town asked for: address, city, postcode, tract.

    A quarter are apartments in shared buildings, so that strangers share all but the unit.
    """
    count = len(towns)
    street = rng.choice(np.array(_STREETS, dtype=object), count)
    kind = rng.choice(np.array(_TYPES, dtype=object), count, p=_TYPE_SHARES)
    direction = rng.choice(
        np.array(_DIRECTIONS, dtype=object), count, p=(0.5, 0.14, 0.14, 0.11, 0.11)
    )
    number = rng.integers(100, 6000, count)
    unit = rng.integers(1, 41, count)
    pick = rng.random((2, count))
    flats = rng.random(count) < 0.25
    for town in range(len(MUNICIPALITIES)):
        rows = np.flatnonzero(flats & (towns == town))
        if not len(rows):
            continue
        building = rows[rng.integers(0, max(1, len(rows) // 8), len(rows))]
        for column in (street, kind, direction, number):
            column[rows] = column[building]
        pick[:, rows] = pick[:, building]
    tract, postcode = [], []
    for index, first, second in zip(towns, pick[0], pick[1], strict=True):
        codes = tracts_of(int(index))
        zips = MUNICIPALITIES[index].zips
        tract.append(codes[int(first * len(codes))])
        postcode.append(zips[int(second * len(zips))])
    return pd.DataFrame(
        {
            "address": [
                f"{n} {d}{s} {k}" + (f" Apt {u}" if flat else "")
                for n, d, s, k, u, flat in zip(
                    number, direction, street, kind, unit, flats, strict=True
                )
            ],
            "city": [MUNICIPALITIES[index].name for index in towns],
            "postcode": postcode,
            "tract": tract,
        }
    )


def draw_phones(count: int, rng: np.random.Generator) -> list[str]:
    """Ten-digit 555 numbers, distinct while there are enough of them."""
    areas = min(len(AREA_CODES), max(3, count // 6000 + 1))
    room = areas * 10_000
    numbers = rng.choice(room, count, replace=count > room)
    return [f"{AREA_CODES[n // 10_000]}555{n % 10_000:04d}" for n in numbers]
