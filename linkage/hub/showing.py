"""Who sees what of a run's quality: only what the manifest permits.

- A steward sees the whole report: it chooses the threshold by it.
- A partner sees nothing before a release is proposed (and confirmed, where the manifest asks for
  that), and then the release's summary; the whole report only where the manifest says so.
- A recipient sees the whole report once every partner has approved a release of the run: it goes
  into the extract.
"""

from __future__ import annotations

from dataclasses import dataclass

from linkage.agreement.safeguards import PartnerReport
from linkage.errors import NotReadyError
from linkage.hub.releases import Release, Releases
from linkage.hub.runs import Runs
from linkage.trust.identity import PartyId, Role


@dataclass(frozen=True)
class Shown:
    """A report and a release's summary, each empty where it is not for the caller."""

    report: bytes
    summary: bytes = b""


class Showing:
    """The use case of reading how well a run went."""

    def __init__(self, runs: Runs, releases: Releases) -> None:
        self._runs = runs
        self._releases = releases

    def report(self, caller: PartyId, run: str, release: str) -> Shown:
        """What the caller may see of a run.

        Args:
            release: that of the run which it is about; empty for the newest.

        Raises:
            NotReadyError: the run has not succeeded, or there is no release yet that lets the
                caller see anything.
        """
        row = self._runs.succeeded(caller, run)
        report = self._runs.report(caller, run)
        if caller.role is Role.STEWARD and not release:
            return Shown(report)
        found = [
            one
            for one in self._releases.of_run(caller, row)
            if release in ("", one.row["id"]) and self._open_to(caller, one)
        ]
        if not found:
            raise NotReadyError(
                "no release of this run is proposed yet"
                if caller.role is Role.PARTNER
                else "no release of this run is approved by every partner yet",
                remedy="Until then nothing is shown of how well it went",
            )
        newest = found[-1]
        whole = caller.role is not Role.PARTNER or (
            newest.manifest.safeguards.partner_report is PartnerReport.FULL
        )
        return Shown(report if whole else b"", self._releases.summary(newest))

    @staticmethod
    def _open_to(caller: PartyId, release: Release) -> bool:
        if caller.role is Role.STEWARD:
            return True
        return release.confirmed if caller.role is Role.PARTNER else release.approved
