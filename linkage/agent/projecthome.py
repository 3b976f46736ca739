"""What this agent keeps of one project, by place in its home.

projects/<project>/manifest.json, versions/, epochs.json   what it signed and saw: `agreements`
.../audit/                    what audits of its file found: `audited`
.../epoch-<n>/                its encodings, to be sent or sent, and their row map: `outbox`
.../epoch-<n>.replacing/      others of the same round, until they take that place
.../epoch-<n>.updating/       those of the next round, likewise
.../rounds-<n>/               comparison rounds, and what it agreed to answer: `rounds`
.../quality-<release>.json    the quality report of a release that it approved
.../parcel-<release>/         its content for a release, to be sent or sent: `outbox`
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from linkage.agent.agreements import Agreements
from linkage.agent.outbox import Outbox


@dataclass(frozen=True)
class ProjectHome:
    """One project's part of an agent's home.

    Attributes:
        home: the agent's.
    """

    home: Path
    project: str

    @property
    def directory(self) -> Path:
        return self.home / "projects" / self.project

    @property
    def agreements(self) -> Agreements:
        return Agreements(self.directory, self.project)

    @property
    def audits(self) -> Path:
        return self.directory / "audit"

    def encodings(self, epoch: int) -> Outbox:
        """What is at the hub as this partner's encodings, or is to be the first there."""
        return Outbox(self.directory / f"epoch-{epoch}")

    def next_encodings(self, epoch: int, *, update: bool) -> Outbox:
        """What is to take the place of encodings that the hub has.

        Args:
            update: as the next round.
        """
        suffix = ".updating" if update else ".replacing"
        return Outbox(self.encodings(epoch).directory.with_suffix(suffix))

    def earlier_encodings(self, epoch: int) -> Outbox | None:
        """Those of the latest earlier epoch that were sent, whose row handles go on."""
        boxes = (self.encodings(number) for number in range(epoch - 1, -1, -1))
        return next((box for box in boxes if box.receipt is not None), None)

    def rounds(self, epoch: int) -> Path:
        return self.directory / f"rounds-{epoch}"

    def quality(self, release: str) -> Path:
        return self.directory / f"quality-{release}.json"

    def parcel(self, release: str) -> Outbox:
        return Outbox(self.directory / f"parcel-{release}")
