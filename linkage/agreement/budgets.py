"""How much a party may do at the hub, per partner and for a project as a whole.

A budget keeps a fault, or a malicious partner, from filling the hub or from asking it again and
again. The hub counts; a day is a day in UTC, and is not forgotten when the hub starts anew.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from linkage.agreement.fields import Strict

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Bytes = Annotated[int, Field(ge=1, le=1 << 50)]


class Budget(Strict):
    """What one partner may do.

    Attributes:
        calls_per_minute: calls about this project.
        uploads_per_day: uploads begun: encodings, answers and parcels.
        bytes_per_day: bytes received, those of broken attempts included.
        open_uploads: uploads begun and not finished, at one time.
    """

    calls_per_minute: Count = 1_200
    uploads_per_day: Count = 500
    bytes_per_day: Bytes = 200_000_000_000
    open_uploads: Count = 80


class ProjectBudget(Strict):
    """What all parties of a project together may do.

    Attributes:
        calls_per_minute: calls about this project, of stewards and recipients too.
        uploads_per_day: uploads begun.
        bytes_per_day: bytes received.
        open_uploads: uploads begun and not finished, at one time.
        runs_per_day: runs started.
    """

    calls_per_minute: Count = 12_000
    uploads_per_day: Count = 10_000
    bytes_per_day: Bytes = 1_000_000_000_000
    open_uploads: Count = 1_000
    runs_per_day: Count = 24


class Budgets(Strict):
    """What parties may do at the hub in a minute and in a day; over it, a call is refused with the
    time at which to try again.

    Attributes:
        partner: for each partner.
        project: for all together.
    """

    partner: Budget = Field(default_factory=Budget)
    project: ProjectBudget = Field(default_factory=ProjectBudget)
