"""The disclosure gate for tables of counts: hide small cells so that they stay hidden.

Every table that is published passes through `protect`:

    protected = protect(rows, ["month", "municipality"], person="study_id")
    protected.cells        # month, municipality ("total" in margins), count (NA: suppressed)
    protected.log          # how much was suppressed; safe to publish

    protect_counts(counts, ["month", "type"], count="calls")    # counts that are made already
    protect_tables([table, another])                            # several tables of one release
    protect_tables([third], before=[table.told])                # beside what readers have

- Counts of 1 to 10 (below `k`) are suppressed, zeros are shown, and as many further cells are
  suppressed as it takes for no reader to prove a suppressed count small, from all tables
  together, by linear programming (`audit`). See docs/explanation/disclosure.md.
- A cell of few people is small however many rows it has, where `person` says whose rows they are.
- What cannot be protected raises `DisclosureError`, which says why and what coarser table would
  pass.
- In pages and files write a suppressed count as blank or as `not shown`, never as 0, and neither
  total, share, bar nor sort order from which it could be read: use `cells` for all of them.
"""

from __future__ import annotations

from linkage.release.disclosure.frames import (
    UNKNOWN,
    record_names,
    table_of_counts,
    table_of_rows,
)
from linkage.release.disclosure.gate import (
    K,
    ProtectedTable,
    audit,
    protect,
    protect_counts,
    protect_tables,
)
from linkage.release.disclosure.system import Told
from linkage.release.disclosure.tables import TOTAL, Dimension, Table

__all__ = [
    "TOTAL",
    "UNKNOWN",
    "Dimension",
    "K",
    "ProtectedTable",
    "Table",
    "Told",
    "audit",
    "protect",
    "protect_counts",
    "protect_tables",
    "record_names",
    "table_of_counts",
    "table_of_rows",
]
