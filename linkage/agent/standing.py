"""What a partner's projects wait for, and what this partner is to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linkage.agent.agreements import Agreements
from linkage.agent.contact import show_project
from linkage.agent.projecthome import ProjectHome
from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.audits import read_summaries
from linkage.errors import LinkageError, NotReadyError
from linkage.rpc.channel import Connection
from linkage.rpc.party import Party
from linkage.v1 import project_pb2, release_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub


def describe(home: Path, connection: Connection) -> list[dict[str, Any]]:
    """Every project the hub shows to this partner, and those it took part in and no longer sees.

    A project that this agent would refuse to go on with has a `problem`; what to do stands under
    `next`.
    """
    stub = ProjectServiceStub(connection.channel)
    names = list(connection.call(stub.ListProjects, project_pb2.ListProjectsRequest()).projects)
    found = [_project(home, connection, name) for name in names]
    kept = home / "projects"
    gone = sorted(p.name for p in kept.iterdir()) if kept.is_dir() else []
    return found + [_gone(kept / name) for name in gone if name not in names]


def _project(home: Path, connection: Connection, name: str) -> dict[str, Any]:
    shown = show_project(connection, name)
    active = shown.state == project_pb2.PROJECT_STATE_ACTIVE
    releases = []
    if shown.epochs:  # Only the parties of the manifest in force see them.
        listing = release_pb2.ListReleasesRequest(project=name)
        releases = list(
            connection.call(ReleaseServiceStub(connection.channel).ListReleases, listing).releases
        )
    problem = _problem(ProjectHome(home, name).agreements, shown)
    manifest = parse_manifest(shown.manifest)
    proposed = parse_manifest(shown.proposal.manifest) if shown.HasField("proposal") else None
    return {
        "project": name,
        "fingerprint": shown.fingerprint,
        "version": manifest.version,
        "epoch": shown.epoch,
        "active": active,
        "signed": [s.partner for s in shown.signatures],
        "committed": list(shown.committed),
        "revealed": list(shown.revealed),
        "uploaded": list(shown.uploaded),
        "audits": read_summaries((a.partner, a.summary) for a in shown.audits),
        "proposal": None
        if proposed is None
        else {
            "version": proposed.version,
            "fingerprint": proposed.fingerprint,
            "signed": [s.partner for s in shown.proposal.signatures],
        },
        "problem": problem,
        "next": _next(home, shown, manifest, proposed),
        "releases": [
            {
                "release": r.release,
                "approved": r.state == release_pb2.RELEASE_STATE_APPROVED,
                "approvals": [a.partner for a in r.approvals],
                "contributed": list(r.contributed),
            }
            for r in releases
        ],
    }


def _problem(agreements: Agreements, shown: project_pb2.Project) -> str | None:
    try:
        agreements.signed  # noqa: B018 - who has signed nothing yet has nothing to compare with
    except LinkageError:
        return None
    try:
        agreements.in_force(shown)
    except NotReadyError:
        return None
    except LinkageError as error:
        return str(error)
    return None


def _next(
    home: Path, shown: project_pb2.Project, manifest: Manifest, proposed: Manifest | None
) -> list[str]:
    name, project = Party.load(home).name, shown.name
    steps = []
    if name not in {s.partner for s in shown.signatures}:
        steps.append("read the manifest, then: linkage agent sign MANIFEST")
    if proposed is not None:
        version = f"version {proposed.version} of the manifest is proposed"
        if name not in proposed.partner_names:
            steps.append(f"{version}; this partner takes no part in it")
        elif name not in {s.partner for s in shown.proposal.signatures}:
            steps.append(f"{version}: read what changes, then: linkage agent sign MANIFEST")
    if shown.state != project_pb2.PROJECT_STATE_ACTIVE or name in shown.uploaded:
        return steps
    begun = next((e for e in shown.epochs if e.epoch == shown.epoch), None)
    if begun is not None and begun.epoch > 0:
        why = f" ({begun.reason})" if begun.reason else ""
        steps.append(f"epoch {begun.epoch} has begun{why}: submit anew")
    if name not in shown.revealed:
        steps.append(f"linkage agent share --project {project}")
    elif waiting := [p for p in manifest.partner_names if p not in shown.revealed]:
        steps.append(f"wait for {', '.join(waiting)} to share the project secret")
    steps.append(f"linkage agent submit FILE --project {project}")
    return steps


def _gone(directory: Path) -> dict[str, Any]:
    name = directory.name
    return {
        "project": name,
        "active": False,
        "signed": [],
        "uploaded": [],
        "audits": {},
        "releases": [],
        "problem": None,
        "next": [
            f"the hub shows this project to you no more; what it receipted stays in {directory}"
        ],
    }
