"""Everything that an extract permits, in one directory: `linkage evaluator report`.

- What cannot be made of this extract is left out, with the reason and what would help; nothing else
  is caught.
- Each page is one file that needs nothing else; beside it are its tables as CSV.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from linkage.errors import DisclosureError, LimitError, NotFoundError
from linkage.evaluator.access_report import access
from linkage.evaluator.access_tables import REACH, AccessOptions
from linkage.evaluator.centrallog_report import central_log_report
from linkage.evaluator.crosssector import cross_sector
from linkage.evaluator.disparities_report import Outcome, disparities
from linkage.evaluator.followup_report import follow_up
from linkage.evaluator.followup_tables import DAYS, Options, Truth
from linkage.evaluator.measures_report import measures
from linkage.evaluator.output import Output
from linkage.evaluator.reading import Extract, read_extract
from linkage.release.crosswalk.documents import Crosswalk
from linkage.reports.quality import quality_page


@dataclass(frozen=True)
class Known:
    """What a rehearsal knows and an evaluator does not: shown beside the estimates.

    Attributes:
        quality: true figures of the links.
        followed: true shares of people followed, by column and group, for (events, services).
        outcomes: true shares by (table, outcome, value, category of race and ethnicity).
        spending: what is truly given in each tract.
    """

    quality: dict[str, Any] | None = None
    followed: Truth = field(default_factory=dict)
    outcomes: Mapping[Outcome, float] = field(default_factory=dict)
    spending: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Places:
    """Public tables that an evaluator brings: see `places`.

    Attributes:
        distances: straight lines between the tracts where not given.
        reach: the largest distance at which a service counts.
    """

    tracts: pd.DataFrame
    distances: pd.DataFrame | None = None
    reach: float = REACH


@dataclass(frozen=True)
class Made:
    """What was written.

    Attributes:
        figures: by report, the few numbers worth printing.
        left_out: by report, why it could not be made.
    """

    pages: list[Path]
    tables: list[Path]
    figures: dict[str, Mapping[str, Any]]
    left_out: dict[str, str]


def write_reports(
    extract_dir: Path,
    out_dir: Path,
    *,
    days: int = DAYS,
    places: Places | None = None,
    crosswalk: Crosswalk | None = None,
    known: Known | None = None,
    ledger: Path | None = None,
) -> Made:
    """Make every report that the extract permits.

    Each is protected beside those before it: in the order of `_reports`, and by the ledger.

    Args:
        ledger: see `read_extract`.
        days: within which a service follows an event.
        crosswalk: gives standard codes to the central log where the extract has local ones.

    Raises:
        NotFoundError: there is no extract.
        DigestMismatchError: it is not what was written.
    """
    extract = read_extract(extract_dir, ledger=ledger)
    known = known or Known()
    written: list[Path] = []
    figures: dict[str, Mapping[str, Any]] = {}
    left_out: dict[str, str] = {}
    for name, make in _reports(days, places, crosswalk, known).items():
        try:
            made = make(extract)
        except (NotFoundError, DisclosureError, LimitError) as error:
            left_out[name] = str(error)
            extract.shown.drop()
            continue
        extract.shown.keep()
        figures[name] = made.figures
        written += made.write(out_dir)
    return Made(
        sorted(path for path in written if path.suffix == ".html"),
        sorted(path for path in written if path.suffix == ".csv"),
        figures,
        left_out,
    )


def _reports(
    days: int, places: Places | None, crosswalk: Crosswalk | None, known: Known
) -> dict[str, Callable[[Extract], Output]]:
    return {
        "cross_sector": cross_sector,
        "quality": lambda extract: _quality(extract, known.quality),
        "central_log": lambda extract: central_log_report(extract, crosswalk=crosswalk),
        "follow_up": lambda extract: follow_up(extract, Options(days=days), truth=known.followed),
        "measures": measures,
        "access": lambda extract: _access(extract, places, known.spending),
        "disparities": lambda extract: disparities(extract, days=days, truth=known.outcomes),
    }


def _access(extract: Extract, places: Places | None, truth: Mapping[str, float] | None) -> Output:
    if places is None:
        raise NotFoundError("no file of tracts was given (--tracts)")
    options = AccessOptions(reach=places.reach)
    return access(extract, places.tracts, places.distances, options, truth=truth)


def _quality(extract: Extract, truth: dict[str, Any] | None) -> Output:
    if not extract.quality:
        raise NotFoundError("the extract holds no quality report")
    return Output("quality", quality_page(extract.quality, truth), {})
