"""Enrolment and the relay of sealed envelopes."""

from __future__ import annotations

import grpc
from pydantic import ValidationError

from linkage.errors import InvalidRequestError
from linkage.hub.keys import Enrolment, Envelopes
from linkage.hub.servicers.common import (
    Callers,
    name_of,
    party_message,
    stamp,
)
from linkage.trust.statements import EnvelopeAddress
from linkage.v1 import enrolment_pb2 as enrolment
from linkage.v1 import secret_pb2 as secret
from linkage.v1.enrolment_pb2_grpc import EnrolmentServiceServicer
from linkage.v1.secret_pb2_grpc import SecretServiceServicer


class EnrolmentServicer(Callers, EnrolmentServiceServicer):
    def __init__(self, hub: str, use_cases: Enrolment) -> None:
        super().__init__(hub)
        self._use = use_cases

    def Enrol(
        self, request: enrolment.EnrolRequest, context: grpc.ServicerContext
    ) -> enrolment.EnrolResponse:
        certified = self._use.enrol(
            self._caller(context),
            token=request.token,
            request=request.certificate_request,
            signing_key=request.signing_key,
            sealing_key=request.sealing_key,
            proof=request.proof,
        )
        return enrolment.EnrolResponse(
            party=party_message(
                {
                    "name": certified.party.name,
                    "role": certified.party.role,
                    "signing_key": certified.signing_key,
                    "sealing_key": certified.sealing_key,
                }
            ),
            certificate_chain=certified.chain,
            expires=stamp(int(certified.expires.timestamp())),
        )

    def Renew(
        self, request: enrolment.RenewRequest, context: grpc.ServicerContext
    ) -> enrolment.RenewResponse:
        certified = self._use.renew(self._caller(context), request.certificate_request)
        return enrolment.RenewResponse(
            certificate_chain=certified.chain, expires=stamp(int(certified.expires.timestamp()))
        )


class SecretServicer(Callers, SecretServiceServicer):
    def __init__(self, hub: str, use_cases: Envelopes) -> None:
        super().__init__(hub)
        self._use = use_cases

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
