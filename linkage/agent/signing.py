"""This partner's signature on a manifest that it has read: when it is refused, and how it is given.

    require_ready(manifest, name, despite_unanswered=False)
    project = sign_manifest(connection, kept, keyring, manifest, name)

- Only what the hub shows byte for byte as the partner read it is signed.
- It is kept before the hub is told: nothing is ever signed and not known here.
"""

from __future__ import annotations

from linkage.agent.agreements import require_not_expired, require_same
from linkage.agent.contact import show_project
from linkage.agent.projecthome import ProjectHome
from linkage.agreement import Manifest
from linkage.errors import NotAgreedError
from linkage.rpc.channel import Connection
from linkage.rpc.witness import Witness
from linkage.trust.identity import Role
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign
from linkage.trust.statements import manifest_statement
from linkage.v1 import project_pb2
from linkage.v1.project_pb2_grpc import ProjectServiceStub


def require_ready(manifest: Manifest, name: str, *, despite_unanswered: bool) -> None:
    """Refuse to sign what is over, what leaves questions open, or what is not about this partner.

    Raises:
        ManifestError, NotAgreedError: see `Agent.sign`.
    """
    manifest.partner(name)
    require_not_expired(manifest)
    if manifest.unanswered and not despite_unanswered:
        raise NotAgreedError(
            f"the manifest leaves open: {' '.join(manifest.unanswered)}",
            remedy="Have them answered under governance and propose it anew; or sign it all"
            " the same with --despite-unanswered",
        )


def sign_manifest(
    connection: Connection, kept: ProjectHome, keyring: Keyring, manifest: Manifest, name: str
) -> project_pb2.Project:
    """Sign what the hub shows, if it is this manifest; the project as it is then.

    Raises:
        FingerprintMismatchError: the hub shows another one.
        EpochError: a later version was in force already.
        LogInconsistentError: the signature is not in the hub's log.
    """
    here = version_of(show_project(connection, manifest.project), manifest)
    require_same(manifest, here.fingerprint, here.manifest)
    said = manifest_statement(manifest.project, manifest.fingerprint, name)
    request = project_pb2.SignManifestRequest(
        project=manifest.project,
        fingerprint=manifest.fingerprint,
        signature=sign(keyring.signing_key, said),
    )
    kept.agreements.keep(manifest)
    answer = connection.call(ProjectServiceStub(connection.channel).SignManifest, request)
    Witness(kept.home).require_receipt(
        connection,
        answer.log,
        "manifest.signed",
        name=f"manifest-{manifest.fingerprint}",
        project=manifest.project,
        party=f"{Role.PARTNER}/{name}",
        subject=manifest.fingerprint,
    )
    return answer.project


def version_of(
    shown: project_pb2.Project, manifest: Manifest
) -> project_pb2.Project | project_pb2.Proposal:
    """Where a project shows a manifest, if anywhere: in force, or proposed."""
    return shown if shown.fingerprint == manifest.fingerprint else shown.proposal
