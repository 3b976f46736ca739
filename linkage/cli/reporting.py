"""What a rehearsal does when all is linked, as work for processes of their own.

What does the work is loaded where it is done, so that asking for it costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linkage.agreement import Manifest
    from linkage.evaluator.reports import Made


def score(
    manifest: Manifest,
    outboxes: Mapping[str, Path],
    files: Mapping[str, Path],
    links: Path,
    truth: str,
    recommended: float,
) -> dict[str, Any]:
    """True figures of the links; see `linkage.cli.assessing.assess`."""
    from linkage.cli.assessing import assess

    return assess(manifest, outboxes, files, links, truth, recommended)


def draw(
    extract: Path,
    out: Path,
    *,
    tracts: Path | None,
    crosswalk: Path | None,
    known: Mapping[str, Any],
) -> Made:
    """Every report that the extract permits; see `linkage.evaluator.reports.write_reports`.

    Args:
        known: what an evaluator does not know: fields of `evaluator.reports.Known`.
    """
    from linkage.cli.crosswalk_documents import load_crosswalk
    from linkage.evaluator.places import read_tracts
    from linkage.evaluator.reports import Known, Places, write_reports

    return write_reports(
        extract,
        out,
        places=None if tracts is None else Places(read_tracts(tracts)),
        crosswalk=None if crosswalk is None else load_crosswalk(crosswalk),
        known=Known(**known),
    )
