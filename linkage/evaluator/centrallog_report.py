"""`linkage evaluator central-log`: the central log as tables and a page.

central_log_report(extract, crosswalk=crosswalk).write(Path("reports"))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from linkage.errors import InputError
from linkage.evaluator.centrallog import CentralLog, central_log
from linkage.evaluator.centrallog_page import central_log_page, one_cell, seen_by_several
from linkage.evaluator.contacts import contacts
from linkage.evaluator.output import Output
from linkage.evaluator.periods import Period
from linkage.evaluator.protection import smallest
from linkage.evaluator.reading import Extract
from linkage.release.crosswalk.documents import Crosswalk

NAME = "central_log"
LOGGED = ("table", "counted", "dimensions", "k", "cells", "zero", "suppressed")


def central_log_report(
    extract: Extract,
    *,
    crosswalk: Crosswalk | None = None,
    tables: Sequence[str] = (),
    period: Period | None = None,
    k: int | None = None,
) -> Output:
    """The whole output.

    Args:
        crosswalk: gives standard codes to tables that have local codes only.
        k: the smallest count that may be shown; the agreement's or more, which is the default.

    Raises:
        NotFoundError: the extract has no event table with months.
        InputError: a k below the agreement's, or a period that leaves too many cells.
        DisclosureError: the tables cannot be protected.
    """
    least = smallest(extract.manifest)
    if k is not None and k < least:
        raise InputError(f"the agreement lets counts below {least} be shown nowhere")
    found = contacts(extract, crosswalk=crosswalk, tables=tables)
    log = central_log(extract, found, k=k, period=period)
    return Output(
        NAME, central_log_page(extract, log, crosswalk, k or least), _files(log), _figures(log)
    )


def _files(log: CentralLog) -> dict[str, pd.DataFrame]:
    found = {f"{NAME}_{name}": table.cells for name, table in log.tables.items()}
    logs = [{name: one.log[name] for name in LOGGED} for one in log.tables.values()]
    lines = [{**line, "dimensions": " ".join(line["dimensions"])} for line in logs]
    return {**found, f"{NAME}_suppression": pd.DataFrame(lines)}


def _figures(log: CentralLog) -> dict[str, Any]:
    found: dict[str, Any] = {
        "types": log.contacts.by,
        "periods": log.periods,
        "suppressed": {name: one.log["suppressed"] for name, one in log.tables.items()},
        "contacts": one_cell(log, next(iter(log.periods))),
        "people": one_cell(log, "repeats"),
        "people_of_several_agencies": seen_by_several(log),
    }
    if (accounts := log.contacts.accounts) is not None:
        found["unmapped_codes"] = len(accounts.unmapped)
    return found
