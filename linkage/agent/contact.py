"""One contact with the hub about one project: what every act after signing stands on.

    contact = Contact.make(connection, ProjectHome(home, "county"), keyring)
    contact.require_signed()
    contact.exchange.secret()
    contact.send(outbox, "submit", progress)

What the hub shows has been held against what this partner signed, and the epochs it has seen,
before any act sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from linkage.agent.exchange import Exchange
from linkage.agent.outbox import Outbox
from linkage.agent.projecthome import ProjectHome
from linkage.agreement import Manifest, Partner
from linkage.rpc.channel import Connection
from linkage.rpc.covering import require_signed
from linkage.rpc.party import Party
from linkage.rpc.witness import Witness
from linkage.trust.keyring import Keyring
from linkage.v1 import project_pb2, upload_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub

if TYPE_CHECKING:
    from linkage.agent.checking import Progress


@dataclass(frozen=True)
class Contact:
    """A project as it stands, and this partner in it.

    Attributes:
        kept: what this agent keeps of it.
        name: this partner's.
        manifest: the one in force, which this partner signed.
        shown: the project as the hub shows it.
    """

    connection: Connection
    keyring: Keyring
    kept: ProjectHome
    name: str
    manifest: Manifest
    shown: project_pb2.Project

    @classmethod
    def make(cls, connection: Connection, kept: ProjectHome, keyring: Keyring) -> Contact:
        """Ask the hub, and hold what it shows against what was agreed.

        Raises:
            NotFoundError: this agent signed no manifest of the project; the hub is not asked.
            NotReadyError, NotAgreedError, EpochError, FingerprintMismatchError: see
                `Agreements.in_force`.
        """
        agreements = kept.agreements
        agreements.signed  # noqa: B018 - before the hub is asked: who signed nothing is told so
        shown = show_project(connection, kept.project)
        manifest = agreements.in_force(shown)
        return cls(connection, keyring, kept, Party.load(kept.home).name, manifest, shown)

    @property
    def project(self) -> str:
        return self.manifest.project

    @property
    def epoch(self) -> int:
        """The one in force."""
        return self.shown.epoch

    @property
    def partner(self) -> Partner:
        """This one, as the manifest describes it."""
        return self.manifest.partner(self.name)

    @property
    def exchange(self) -> Exchange:
        """The making of the project secret."""
        return Exchange(self.connection, self.keyring, self.manifest, self.shown, self.name)

    @property
    def next_exchange(self) -> Exchange | None:
        """The making of the next epoch's secret, under a version that this partner has signed."""
        proposal = self.shown.proposal
        waiting = self.kept.agreements.version(proposal.fingerprint)
        signed = self.name in {one.partner for one in proposal.signatures}
        if waiting is None or not signed or proposal.epoch != self.epoch + 1:
            return None
        return Exchange(
            self.connection, self.keyring, waiting, self.shown, self.name, epoch=proposal.epoch
        )

    @property
    def witness(self) -> Witness:
        return Witness(self.kept.home)

    def require_signed(self) -> None:
        """Every partner's signature on the manifest; see `covering.require_signed`."""
        require_signed(self.shown, self.manifest, self.keyring, own=self.name)

    def send(self, outbox: Outbox, step: str, progress: Progress) -> upload_pb2.Receipt:
        """Send what an outbox holds, signed; see `Outbox.send`."""
        return outbox.send(
            self.connection,
            self.keyring.signing_key,
            lambda sent, size: progress(step, sent, size),
            self.witness,
        )


def show_project(connection: Connection, project: str) -> project_pb2.Project:
    """A project as the hub shows it, believed in nothing yet."""
    stub = ProjectServiceStub(connection.channel)
    request = project_pb2.GetProjectRequest(project=project)
    return connection.call(stub.GetProject, request).project
