"""How the partners come to hold one project secret that the hub never sees.

    exchange = Exchange(connection, keyring, manifest, project, name)
    exchange.commit()            # with the signature
    exchange.take_part()         # at every later contact, until the secret is here
    exchange.secret()

- First all commit, then each reveals, then each derives: nobody's contribution is on its way before
  this agent has seen every partner's signed commitment, and kept it.
- A contribution, and the commitments relied upon, are on the disk before anything is sent: whatever
  is repeated after a crash is repeated with the same bytes.
- Keys that the hub shows are used only when a person compared their fingerprint.
- What a partner reveals must be what it had committed to; the error names the partner.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from linkage.agreement import Manifest
from linkage.errors import (
    AlreadyExistsError,
    ContributionError,
    NotReadyError,
    SignatureError,
)
from linkage.rpc.channel import Connection
from linkage.rpc.member import trusted_party
from linkage.trust.contributions import commit, derive, list_digest, require_committed
from linkage.trust.keyring import Keyring
from linkage.trust.sealing import binding, seal
from linkage.trust.signing import sign, verify
from linkage.trust.statements import Commitment, EnvelopeAddress, SecretPlace
from linkage.v1 import project_pb2, secret_pb2
from linkage.v1.secret_pb2_grpc import SecretServiceStub


@dataclass(frozen=True)
class Standing:
    """How far the making of a secret is, as this agent sees it.

    Attributes:
        to_commit: partners whose commitment is awaited.
        to_reveal: partners whose contribution is awaited, once all have committed.
        commitments: digest of everybody's commitments; equal at all partners if the hub showed
            them the same. None while some are awaited.
    """

    project: str
    epoch: int
    to_commit: tuple[str, ...] = ()
    to_reveal: tuple[str, ...] = ()
    commitments: str | None = None

    @property
    def complete(self) -> bool:
        return not self.to_commit and not self.to_reveal

    def require_complete(self) -> None:
        """Raises NotReadyError that says who is awaited, and for what."""
        if self.complete:
            return
        names = self.to_commit or self.to_reveal
        what = "committed to its part" if self.to_commit else "revealed its part"
        raise NotReadyError(
            f"the project secret of {self.project!r} (epoch {self.epoch}) waits for"
            f" {', '.join(names)}, who has not {what} yet",
            remedy=f"Each of them runs: linkage agent share --project {self.project};"
            " submit and serve do so too. To wait here, give --wait",
        )


class Exchange:
    """One partner's part in making the secret of one project, manifest and epoch.

    Args:
        project: as the hub shows it, checked against what this partner signed.
        epoch: another than the project's: the one that a proposed version will begin.
    """

    def __init__(
        self,
        connection: Connection,
        keyring: Keyring,
        manifest: Manifest,
        project: project_pb2.Project,
        name: str,
        *,
        epoch: int | None = None,
    ) -> None:
        self._connection = connection
        self._stub = SecretServiceStub(connection.channel)
        self._keyring = keyring
        self._manifest = manifest
        self._shown = project
        self._name = name
        self._place = SecretPlace(
            project=manifest.project,
            fingerprint=manifest.fingerprint,
            epoch=project.epoch if epoch is None else epoch,
        )
        self._key = (manifest.project, manifest.fingerprint, self._place.epoch)

    def commit(self) -> None:
        """Promise this partner's contribution; repeating it changes nothing.

        Raises:
            AlreadyExistsError: the hub holds another commitment of this partner.
        """
        own = commit(self._place, self._name, self._keyring.contribution(*self._key))
        signature = sign(self._keyring.signing_key, own.statement)
        message = secret_pb2.Commitment(**own.model_dump(), signature=signature)
        request = secret_pb2.PutCommitmentRequest(commitment=message)
        self._connection.call(self._stub.PutCommitment, request)

    def take_part(self, *, renew: bool = False, again: bool = False) -> Standing:
        """Do what can be done now, and say who is awaited.

        Args:
            renew: derive the secret anew from what the others revealed, though one is held.
            again: commit and reveal once more, as after this partner has changed its keys.

        Raises:
            UntrustedKeyError: a partner's keys were never compared, or changed.
            SignatureError, SealError, ContributionError: what the hub shows of a partner is not
                what that partner sent, or not what it had promised.
        """
        kept = self._keyring.commitments(*self._key)
        held = self._keyring.secret(*self._key) is not None
        if again and (kept or not held):
            self.commit()
        if again and kept:
            self._reveal()
        if held and not (renew and kept):
            return Standing(*self._where, commitments=list_digest(kept) if kept else None)
        if kept is None:
            kept, missing = self._commitments()
            if missing:
                return Standing(*self._where, to_commit=missing)
            self._keyring.rely_on(kept)
        if self._name not in self._shown.revealed:
            self._reveal()
        revealed = self._revealed(kept)
        digest = list_digest(kept)
        missing = tuple(one.partner for one in kept if one.partner not in revealed)
        if missing:
            return Standing(*self._where, to_reveal=missing, commitments=digest)
        self._keyring.save_secret(*self._key, derive(kept, revealed), replace=renew)
        return Standing(*self._where, commitments=digest)

    def secret(self) -> bytes:
        """The project secret.

        Raises:
            NotReadyError: others have yet to commit or to reveal; names them.
        """
        self.take_part().require_complete()
        found = self._keyring.secret(*self._key)
        assert found is not None  # noqa: S101 - complete says so
        return found

    @property
    def _where(self) -> tuple[str, int]:
        return self._place.project, self._place.epoch

    def _commitments(self) -> tuple[list[Commitment], tuple[str, ...]]:
        """Everybody's, checked, in the manifest's order; and who is missing."""
        # First: one that was left before this partner changed its keys is signed anew.
        self.commit()
        found = self._listed()
        own = commit(self._place, self._name, self._keyring.contribution(*self._key))
        if found.get(self._name, own) != own:
            raise ContributionError(
                "the hub shows a commitment of yours that this agent did not make",
                remedy="Restore the agent's home from its backup, or ask the steward for a new"
                f" epoch: linkage hub rotate {self._place.project}",
            )
        names = self._manifest.partner_names
        return [found[n] for n in names if n in found], tuple(n for n in names if n not in found)

    def _listed(self) -> dict[str, Commitment]:
        request = secret_pb2.ListCommitmentsRequest(**self._place.model_dump())
        found = {}
        for shown in self._connection.call(self._stub.ListCommitments, request).commitments:
            if shown.partner not in self._manifest.partner_names:
                continue
            # Project, manifest and epoch are ours: a commitment for any other was signed otherwise.
            about = self._place.model_dump()
            try:
                one = Commitment(**about, partner=shown.partner, commitment=shown.commitment)
            except ValidationError:
                raise SignatureError(f"the commitment of {shown.partner!r} is malformed") from None
            self._verify(shown.partner, shown.signature, one.statement, "the commitment")
            found[shown.partner] = one
        return found

    def _reveal(self) -> None:
        """Seal this partner's contribution to each other one."""
        contribution = self._keyring.contribution(*self._key)
        others = [name for name in self._manifest.partner_names if name != self._name]
        # Everybody's keys are checked before anything is sent, so that nothing half-travels.
        parties = [trusted_party(self._keyring, self._shown, name) for name in others]
        for party in parties:
            address = self._address(self._name, party.name)
            sealed = seal(party.sealing_key, contribution, _info(address))
            envelope = secret_pb2.Envelope(
                **address.model_dump(),
                sealed=sealed,
                signature=sign(self._keyring.signing_key, address.statement(sealed)),
            )
            try:
                request = secret_pb2.PutEnvelopeRequest(envelope=envelope)
                self._connection.call(self._stub.PutEnvelope, request)
            except AlreadyExistsError:
                # Revealed before; the contribution is the same one, only sealed anew.
                continue

    def _revealed(self, commitments: list[Commitment]) -> dict[str, bytes]:
        """The contributions that have arrived, this partner's own among them, by partner."""
        promised = {one.partner: one for one in commitments}
        found = {self._name: self._keyring.contribution(*self._key)}
        request = secret_pb2.ListEnvelopesRequest(
            project=self._place.project, epoch=self._place.epoch
        )
        for envelope in self._connection.call(self._stub.ListEnvelopes, request).envelopes:
            sender = envelope.sender
            if sender not in promised or sender == self._name:
                continue
            address = self._address(sender, self._name)
            said = address.statement(envelope.sealed)
            self._verify(sender, envelope.signature, said, "the envelope")
            found[sender] = self._keyring.sealing_key.open(envelope.sealed, _info(address))
            require_committed(promised[sender], found[sender])
        return found

    def _verify(self, partner: str, signature: bytes, said: bytes, what: str) -> None:
        if partner == self._name:
            key = self._keyring.signing_public
        else:
            key = trusted_party(self._keyring, self._shown, partner).signing_key
        verify(key, signature, said, what=what, by=partner)

    def _address(self, sender: str, recipient: str) -> EnvelopeAddress:
        return EnvelopeAddress(**self._place.model_dump(), sender=sender, recipient=recipient)


def _info(address: EnvelopeAddress) -> bytes:
    return binding("contribution", **address.model_dump())
