"""`linkage hub propose`, `retract`, `rotate`: a manifest's versions, and epochs of the secret."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkage.cli.common import HomeOption, JsonOption, PatienceOption, connect_steward, show
from linkage.cli.manifest import FileArgument, load_manifest
from linkage.errors import NotFoundError

if TYPE_CHECKING:
    from linkage.v1 import project_pb2

PATIENCE = 30.0

ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")
]


def proposed_fields(project: project_pb2.Project) -> dict[str, Any] | None:
    """The version of a running project that waits for signatures, for scripts."""
    from linkage.agreement import parse_manifest

    if not project.HasField("proposal"):
        return None
    proposal = project.proposal
    return {
        "version": parse_manifest(proposal.manifest).version,
        "fingerprint": proposal.fingerprint,
        "signed": [signature.partner for signature in proposal.signatures],
    }


def add_succession_commands(app: typer.Typer, home: Path) -> None:
    """The commands, beside the hub's others.

    Args:
        home: the hub's default home.
    """

    @app.command()
    def propose(
        manifest: FileArgument,
        home: HomeOption = home,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Open a project with its manifest, or propose the next version of a running one's.

        Every partner of the manifest signs it. The next version has the project's name and the next
        number; the one in force stays so until every partner of the new one has signed. Then the
        new one takes its place and a new epoch begins: partners that are new in it come in, and
        those that are not named any more are out.
        """
        from linkage.hub.steward import Steward

        agreed = load_manifest(manifest)
        with connect_steward(home, patience) as connection:
            found = Steward(connection).propose(agreed)
            wire = vars(connection.wire)
        follows = found.fingerprint != agreed.fingerprint
        result = {
            "project": agreed.project,
            "version": agreed.version,
            "fingerprint": agreed.fingerprint,
            "begins_epoch": found.proposal.epoch if follows else found.epoch,
            "wire": wire,
        }
        text = f"proposed {agreed.project}, version {agreed.version}\n{agreed.fingerprint}\n"
        if follows:
            text += (
                f"version {agreed.version - 1} stays in force until all of"
                f" {', '.join(agreed.partner_names)} have signed\n"
            )
        show(result, as_json=as_json, text=text + "next: each partner signs it")

    @app.command()
    def retract(
        project: ProjectArgument,
        home: HomeOption = home,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Take back a proposed manifest that not every partner has signed yet.

        The version in force, if there is one, stays. Signatures on what is taken back count for
        nothing: proposed again, it is signed again.
        """
        from linkage.hub.steward import Steward
        from linkage.v1 import project_pb2

        with connect_steward(home, patience) as connection:
            steward = Steward(connection)
            found = steward.project(project)
            if found.HasField("proposal"):
                taken = found.proposal.fingerprint
            elif found.state == project_pb2.PROJECT_STATE_PROPOSED:
                taken = found.fingerprint
            else:
                raise NotFoundError(
                    f"no manifest of project {project!r} waits for signatures",
                    remedy="See: linkage hub status",
                )
            steward.withdraw(project, taken)
        result = {"project": project, "fingerprint": taken}
        show(result, as_json=as_json, text=f"withdrew the proposed manifest of {project}\n{taken}")

    @app.command()
    def rotate(
        project: ProjectArgument,
        reason: Annotated[
            str, typer.Option("--reason", metavar="TEXT", help="Why; every partner reads it.")
        ],
        dry_run: DryRunOption = False,
        home: HomeOption = home,
        patience: PatienceOption = PATIENCE,
        as_json: JsonOption = False,
    ) -> None:
        """Begin a new epoch: the partners make a new project secret and submit again.

        For when a secret may have become known, or at set times. Encodings of earlier epochs are
        matched no more; row handles, and with them linkage ids, go on. Releases under way go on
        too. Each agent destroys the old secret once its new encodings have a receipt.
        """
        from linkage.hub.steward import Steward

        with connect_steward(home, patience) as connection:
            steward = Steward(connection)
            before = steward.project(project)
            epoch = before.epoch + 1 if dry_run else steward.rotate(project, reason).epoch
        names = [signature.partner for signature in before.signatures]
        result = {"project": project, "epoch": epoch, "partners": names, "dry_run": dry_run}
        text = (
            f"{project}: epoch {epoch} {'would begin' if dry_run else 'has begun'}\n"
            f"{', '.join(names)}: each submits anew with: linkage agent submit FILE"
            f" --project {project}"
        )
        show(result, as_json=as_json, text=text)
