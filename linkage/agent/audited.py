"""What the audit of a file found, kept in the agent's home so that it is made once.

    audited = Audits(home / "projects" / name / "audit", manifest, partner)
    summary = audited.require_of(records, checked, progress)

- Kept by the file's and the manifest's digests, the rows that are left out and the version of
  `linkage`: another of any of these is audited anew.
- The last audit of a whole file is kept apart, as it may have taken a night: no quick one takes its
  place, and it serves where a quick one is asked for.
- `audit.html` beside them is of the audit that submit goes by, for the people who decide what to
  change.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from linkage.agent.audit import (
    NONE_SKIPPED,
    QUICK,
    Depth,
    Progress,
    audit,
    tool_version,
)
from linkage.agent.finding import Audit
from linkage.agent.records import Checked, Records
from linkage.agent.sample import Rows
from linkage.agent.source import SourceFile
from linkage.agreement import Manifest
from linkage.agreement.audits import AuditSummary, Verdict
from linkage.agreement.canonical import canonical
from linkage.files import private_directory, write_atomic
from linkage.reports.risk import risk_page
from linkage.risk.evidence import FEWEST

_QUICK, _FULL = "audit.json", "full.json"


def described(manifest: Manifest, partner: str, found: Audit) -> dict[str, Any]:
    """An audit as its JSON report: the figures, and what they are held to."""
    exception = manifest.audit.exception_of(partner)
    return {
        "project": manifest.project,
        "fingerprint": manifest.fingerprint,
        "partner": partner,
        "scheme": manifest.scheme.name,
        "policy": manifest.audit.model_dump(mode="json", exclude={"exceptions"}),
        "refused": manifest.audit.refuses(found.summary) and exception is None,
        "exception": None if exception is None else exception.reason,
        **found.as_json(),
    }


class Audits:
    """The audit of one partner's file under one manifest.

    Args:
        directory: of its own, in the agent's home.
        partner: by name.
    """

    def __init__(self, directory: Path, manifest: Manifest, partner: str) -> None:
        self._directory = directory
        self._manifest = manifest
        self._partner = partner

    @property
    def page(self) -> Path:
        """The report of the audit that submit went by or would go by."""
        return self._directory / "audit.html"

    def require_of(
        self,
        records: Records,
        checked: Checked,
        progress: Progress,
        *,
        threads: int | None = None,
    ) -> AuditSummary:
        """What stands in the header of records that were checked; see `require`.

        Raises:
            RiskError, SourceError: see `require`.
        """
        if records.filters is not None:
            return self.require_of_filters(checked.sent)
        digest = records.digests()["source"]
        return self.require(records.source, digest, checked.skipped, progress, threads=threads)

    def require(
        self,
        source: SourceFile,
        digest: str,
        skipped: Rows,
        progress: Progress,
        *,
        threads: int | None = None,
    ) -> AuditSummary:
        """What an audit found before, or a quick one finds, where the manifest's policy covers it.

        Args:
            digest: SHA-256 of the file.
            skipped: 0-based rows that are not sent, ascending.
            threads: see `audit`.

        Raises:
            RiskError: it does not; nothing may be sent.
            SourceError: the file cannot be read as a table.
        """
        kept = self._kept(digest, skipped)
        if kept is not None:
            self._write_page(kept)
        else:
            found = audit(
                self._manifest,
                self._manifest.partner(self._partner),
                source,
                QUICK,
                stop=True,
                skipped=skipped,
                threads=threads,
                progress=progress,
            )
            self.keep(digest, QUICK, found, skipped)
            kept = described(self._manifest, self._partner, found)
        summary = AuditSummary.model_validate_json(json.dumps(kept["summary"]))
        self._manifest.audit.require(self._partner, summary, detail=self._detail(kept))
        return summary

    def require_of_filters(self, rows: int) -> AuditSummary:
        """The same of filters that another program made, which are not attacked.

        Raises:
            RiskError: the manifest's policy does not cover them.
        """
        verdict = Verdict.UNTRIED if rows >= FEWEST else Verdict.TOO_FEW
        summary = AuditSummary(
            tool=tool_version(),
            verdict=verdict,
            rows=rows,
            whole=True,
            skipped=len(self._manifest.match_keys),
        )
        self._manifest.audit.require(self._partner, summary)
        return summary

    def keep(self, digest: str, depth: Depth, found: Audit, skipped: Rows = NONE_SKIPPED) -> bool:
        """Keep an audit for the next submit, and its page for people.

        Returns:
            False where one of the whole file is kept already, and this is a quick one.
        """
        if depth.quick and self._read(_FULL, digest, skipped) is not None:
            return False
        report = described(self._manifest, self._partner, found)
        self._write_page(report)
        kept = {"made_from": self._made_from(digest, skipped), "report": report}
        write_atomic(self._directory / (_QUICK if depth.quick else _FULL), canonical(kept))
        return True

    def _write_page(self, report: dict[str, Any]) -> None:
        private_directory(self._directory)
        write_atomic(self.page, risk_page(report).encode())

    def _kept(self, digest: str, skipped: Rows) -> dict[str, Any] | None:
        found = self._read(_FULL, digest, skipped)
        return self._read(_QUICK, digest, skipped) if found is None else found

    def _read(self, name: str, digest: str, skipped: Rows) -> dict[str, Any] | None:
        try:
            found = json.loads((self._directory / name).read_bytes())
            if found["made_from"] != self._made_from(digest, skipped):
                return None
            report: dict[str, Any] = found["report"]
            AuditSummary.model_validate_json(json.dumps(report["summary"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError, ValidationError):
            return None
        return report

    def _made_from(self, digest: str, skipped: Rows) -> dict[str, str]:
        left_out = skipped.astype("<i8").tobytes()
        return {
            "source": digest,
            "skipped": hashlib.sha256(left_out).hexdigest(),
            "fingerprint": self._manifest.fingerprint,
            "tool": tool_version(),
        }

    def _detail(self, report: dict[str, Any]) -> str:
        broken = [
            (one, finding["name"])
            for finding in report["findings"]
            for one in finding["tried"]
            if one["verdict"] == Verdict.BROKEN
        ]
        repeated = [one for one in report["repeated"] if one["verdict"] == Verdict.BROKEN]
        if not broken and repeated:
            worst = max(repeated, key=lambda one: one["lower"])
            return (
                f": the commonest value of {worst['name']} is that of {worst['most']} of"
                f" {worst['rows']} records, surely above {worst['lower']:.2%} where"
                f" {self._manifest.audit.commonest:.2%} are allowed; see {self.page}"
            )
        if not broken:
            return f"; see {self.page}"
        worst, name = max(broken, key=lambda pair: pair[0]["lower"])
        limit = self._manifest.audit.limit(worst["kind"])
        return (
            f": {worst['attack']} on {name} names {worst['right']} of {worst['overlap']}, surely"
            f" above {worst['lower']:.1%} where {limit:.1%} are allowed; see {self.page}"
        )
