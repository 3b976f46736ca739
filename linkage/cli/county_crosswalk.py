"""The made-up county's crosswalk: what its departments' own codes mean, as it was made up."""

from __future__ import annotations

import datetime as dt

from linkage.release.crosswalk.documents import CodeMapping, Crosswalk
from linkage.release.crosswalk.editing import new_crosswalk, next_version
from linkage.release.crosswalk.lists import bundled_list
from linkage.synthetic.places import CALL_KINDS, DEPARTMENTS


def county_crosswalk() -> Crosswalk:
    """Every code of every department, under the bundled list."""
    codes = bundled_list("crisis")
    mappings = [
        CodeMapping(
            agency=department,
            local=local,
            standard=kind,
            confidence="high",
            author="linkage.synthetic",
            date=dt.date(2026, 1, 1),
        )
        for department, (_, own) in DEPARTMENTS.items()
        for local, kind in zip(own, CALL_KINDS, strict=True)
    ]
    return next_version(new_crosswalk("county-calls", codes, DEPARTMENTS), mappings, codes=codes)
