"""Bounds against a partner that probes: what it may send, and below what nothing is shown."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from linkage.agreement.fields import Strict

People = Annotated[int, Field(ge=0, le=1_000_000)]


class PartnerReport(StrEnum):
    """What a partner sees of a run, once a release of it is proposed."""

    NONE = "none"
    SUMMARY = "summary"
    FULL = "full"


class Safeguards(Strict):
    """What keeps one partner from learning whether a person is in another's file.

    Attributes:
        rows_per_person: most rows that share a group, or that are encoded alike in every match key.
        commonest_share: most of a file's rows that may be encoded alike in one match key, as a
            share; never fewer than `rows_per_person` rows.
        min_change: people by which encodings of a later round must differ from the last ones.
        min_overlap: people that two files must have in common, at the threshold of a release, for
            the release and its figures to leave the hub.
        min_apart: people that each of two files must hold that are not linked to the other.
        partner_report: what partners see of a run's quality: `none`; `summary`, which is the
            release's own figures by partner pair; or `full`, with weights and all thresholds, from
            which a partner that sent a made-up file could read scores.
    """

    rows_per_person: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    commonest_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.02
    min_change: People = 10
    min_overlap: People = 10
    min_apart: People = 10
    partner_report: Annotated[PartnerReport, Field(strict=False)] = PartnerReport.SUMMARY
