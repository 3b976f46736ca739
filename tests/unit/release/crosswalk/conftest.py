"""Small crosswalks to test with."""

from __future__ import annotations

import datetime as dt
from typing import Any

from linkage.release.crosswalk.documents import CodeMapping, Crosswalk
from linkage.release.crosswalk.lists import bundled_list

CRISIS = bundled_list("crisis")
DAY = dt.date(2026, 3, 1)


def mapping(agency: str, local: str, standard: str | None, **more: Any) -> CodeMapping:
    return CodeMapping(
        **{
            "agency": agency,
            "local": local,
            "standard": standard,
            "confidence": "high",
            "author": "R. Moss",
            "date": DAY,
            **more,
        }
    )


def crosswalk(*mappings: CodeMapping, **more: Any) -> Crosswalk:
    agencies = tuple(dict.fromkeys(one.agency for one in mappings))
    return Crosswalk(
        **{
            "linkage": "crosswalk/1",
            "name": "calls",
            "version": 1,
            "codes": CRISIS.reference,
            "agencies": agencies,
            "mappings": mappings,
            **more,
        }
    )
