"""What `linkage agent submit`, `status` and `contribute` show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linkage.cli.checking_text import reason_line
from linkage.cli.common import audit_lines

if TYPE_CHECKING:
    from linkage.agent.parcel import Contributed
    from linkage.agent.submission import Submitted


def submitted_lines(done: Submitted) -> list[str]:
    """What was sent, what was left out and why, and the hub's receipt."""
    checked = done.checked
    lines = [f"submitted {checked.sent} records, {done.size} bytes"]
    if checked.aliases:
        lines.append(f"with {checked.aliases} aliases")
    if checked.reasons:
        lines.append(f"left out {len(checked.skipped)} records, and aliases, with errors:")
        lines += [reason_line(reason) for reason in checked.reasons]
    lines += audit_lines({"this file": done.audit.model_dump(mode="json")})
    return [*lines, f"receipt {done.upload}"]


def standing_lines(projects: list[dict[str, Any]]) -> list[str]:
    """What projects wait for, as `standing.describe` gives it."""
    lines = []
    for project in projects:
        lines += _project_lines(project)
        for release in project["releases"]:
            state = "approved" if release["approved"] else "waits for approval"
            lines.append(
                f"  release {release['release']}: {state}; approved by"
                f" {', '.join(release['approvals']) or 'nobody'};"
                f" parcels from {', '.join(release['contributed']) or 'nobody'}"
            )
    return lines


def _project_lines(project: dict[str, Any]) -> list[str]:
    names = {
        what: ", ".join(project.get(what, [])) or "nobody"
        for what in ("signed", "committed", "revealed", "uploaded")
    }
    lines = []
    if "epoch" in project:
        state = "active" if project["active"] else "waits for signatures"
        lines.append(
            f"{project['project']}: version {project['version']}, epoch {project['epoch']},"
            f" {state}; signed by {names['signed']}"
        )
        lines.append(
            f"  project secret: committed {names['committed']}; revealed {names['revealed']}"
        )
        lines.append(f"  encodings from: {names['uploaded']}")
        lines += audit_lines(project["audits"])
    else:
        lines.append(f"{project['project']}: ended for this partner")
    if proposal := project.get("proposal"):
        signed = ", ".join(proposal["signed"]) or "nobody"
        lines.append(f"  version {proposal['version']} is proposed; signed by {signed}")
    if project["problem"]:
        lines.append(f"  REFUSED: {project['problem']}")
    lines += [f"  next: {step}" for step in project["next"]]
    return lines


def contributed_lines(done: Contributed) -> list[str]:
    """How much was sent, and what of the content was left out or not found."""
    lines = [f"contributed {done.receipt.size} sealed bytes"]
    lines += [
        f"left out {count} rows of {table}: their records were skipped at submit"
        for table, count in done.left_out.items()
    ]
    lines += [
        f"{table}.{field}: {count['rows']} cells were looked up; {count['unmatched']} have no entry"
        for table, fields in done.lookups.items()
        for field, count in fields.items()
    ]
    return lines
