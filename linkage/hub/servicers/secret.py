"""Commitments and sealed envelopes."""

from __future__ import annotations

import grpc
from pydantic import ValidationError

from linkage.errors import InvalidRequestError
from linkage.hub.exchange import Exchange
from linkage.hub.servicers.common import Callers, name_of
from linkage.trust.statements import Commitment, EnvelopeAddress, SecretPlace
from linkage.v1 import secret_pb2 as secret
from linkage.v1.secret_pb2_grpc import SecretServiceServicer


class SecretServicer(Callers, SecretServiceServicer):
    def __init__(self, hub: str, use_cases: Exchange) -> None:
        super().__init__(hub)
        self._use = use_cases

    def PutCommitment(
        self, request: secret.PutCommitmentRequest, context: grpc.ServicerContext
    ) -> secret.PutCommitmentResponse:
        sent = request.commitment
        try:
            commitment = Commitment(
                project=sent.project,
                fingerprint=sent.fingerprint,
                epoch=sent.epoch,
                partner=sent.partner,
                commitment=sent.commitment,
            )
        except ValidationError:
            raise InvalidRequestError("the commitment is malformed") from None
        self._use.commit(self._caller(context), commitment, sent.signature)
        return secret.PutCommitmentResponse()

    def ListCommitments(
        self, request: secret.ListCommitmentsRequest, context: grpc.ServicerContext
    ) -> secret.ListCommitmentsResponse:
        try:
            place = SecretPlace(
                project=request.project, fingerprint=request.fingerprint, epoch=request.epoch
            )
        except ValidationError:
            raise InvalidRequestError("the request's manifest or epoch is malformed") from None
        rows = self._use.commitments(self._caller(context), place)
        return secret.ListCommitmentsResponse(
            commitments=[secret.Commitment(**dict(row)) for row in rows]
        )

    def PutEnvelope(
        self, request: secret.PutEnvelopeRequest, context: grpc.ServicerContext
    ) -> secret.PutEnvelopeResponse:
        sent = request.envelope
        try:
            address = EnvelopeAddress(
                project=sent.project,
                fingerprint=sent.fingerprint,
                epoch=sent.epoch,
                sender=sent.sender,
                recipient=sent.recipient,
            )
        except ValidationError:
            raise InvalidRequestError("the envelope's address is malformed") from None
        self._use.put(self._caller(context), address, sent.sealed, sent.signature)
        return secret.PutEnvelopeResponse()

    def ListEnvelopes(
        self, request: secret.ListEnvelopesRequest, context: grpc.ServicerContext
    ) -> secret.ListEnvelopesResponse:
        rows = self._use.addressed_to(
            self._caller(context), name_of(request.project), request.epoch
        )
        return secret.ListEnvelopesResponse(
            envelopes=[secret.Envelope(**dict(row)) for row in rows]
        )
