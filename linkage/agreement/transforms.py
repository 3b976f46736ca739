"""What may happen to a content field before it leaves the agent."""

from __future__ import annotations

from enum import StrEnum


class Transform(StrEnum):
    """What happens to a content field before it leaves the agent."""

    KEEP = "keep"
    YEAR = "year"
    MONTH = "month"
    AGE_BAND = "age_band"
    ZIP3 = "zip3"
    NUMBER = "number"
    DAY = "day"
    GENERALISE = "generalise"
    BAND = "band"
    TOP_CODE = "top_code"
    TRACT = "tract"
    MUNICIPALITY = "municipality"
    COUNTY = "county"
    CROSSWALK = "crosswalk"


MEANINGS: dict[Transform, str] = {
    Transform.KEEP: "the code as it stands: one of `values`, or a short one without an identifier",
    Transform.YEAR: "the year of a date, 1987",
    Transform.MONTH: "year and month of a date, 2024-05",
    Transform.AGE_BAND: "age in bands of ten years at the `reference` date, 30-39; from 90 on 90+",
    Transform.ZIP3: "the first three digits of a ZIP code; 000 where that area has 20,000 people or"
    " fewer: by the censuses of 2000 and 2010, or by the table of the field's `lookup`",
    Transform.NUMBER: "a number as it stands, of a site or a measure",
    Transform.DAY: "the day, counted from the person's first event over all tables; what leaves the"
    " agent is hidden by a shift of the row's own",
    Transform.GENERALISE: "the coarser code that `mapping` gives; a cell not in it is refused",
    Transform.BAND: "a number in the bands that begin at `edges`",
    Transform.TOP_CODE: "a whole number; from `top` on one code, 90+",
    Transform.TRACT: "the census tract: of a Census GEOID of a tract, block group or block, or of"
    " what the field's `lookup` has for the cell",
    Transform.MUNICIPALITY: "the municipality that the field's `lookup` has for the cell: one of"
    " `values`, or, without these, the seven-digit GEOID of a Census place",
    Transform.COUNTY: "the county, five digits: of a Census GEOID, or of what the field's `lookup`"
    " has for the cell",
    Transform.CROSSWALK: "the standard code that the crosswalk of the field's `lookup` has for the"
    " cell; `unmapped` where it has none",
}
"""What each gives, for people."""

SHORT: dict[Transform, str] = {
    Transform.KEEP: "the code as it stands",
    Transform.YEAR: "the year of a date",
    Transform.MONTH: "year and month of a date",
    Transform.AGE_BAND: "age in years, in bands",
    Transform.ZIP3: "the first three digits of a ZIP code; 000 for small areas",
    Transform.NUMBER: "a number as it stands",
    Transform.DAY: "days from the person's first event over all tables, which is 0; no date leaves",
    Transform.GENERALISE: "a coarser code",
    Transform.BAND: "a number in bands",
    Transform.TOP_CODE: "a number, the large ones as one",
    Transform.TRACT: "the census tract, eleven digits",
    Transform.MUNICIPALITY: "the municipality",
    Transform.COUNTY: "the county, five digits",
    Transform.CROSSWALK: "the standard code of an own one",
}
"""What of a cell leaves, in a few words for tables on pages."""
