"""Enrolment."""

from __future__ import annotations

import re

import grpc

from linkage.errors import InvalidRequestError
from linkage.hub.keys import Enrolment
from linkage.hub.rotations import Rotations
from linkage.hub.servicers.common import (
    Callers,
    party_message,
    stamp,
)
from linkage.v1 import enrolment_pb2 as enrolment
from linkage.v1.enrolment_pb2_grpc import EnrolmentServiceServicer

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class EnrolmentServicer(Callers, EnrolmentServiceServicer):
    def __init__(self, hub: str, use_cases: Enrolment, rotations: Rotations) -> None:
        super().__init__(hub)
        self._use = use_cases
        self._rotations = rotations

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

    def Rotate(
        self, request: enrolment.RotateRequest, context: grpc.ServicerContext
    ) -> enrolment.RotateResponse:
        certified = self._rotations.rotate(
            self._caller(context),
            request.certificate_request,
            request.signing_key,
            request.sealing_key,
            statement=request.statement,
            signature=request.signature,
            proof=request.proof,
        )
        return enrolment.RotateResponse(
            certificate_chain=certified.chain, expires=stamp(int(certified.expires.timestamp()))
        )

    def ReportKey(
        self, request: enrolment.ReportKeyRequest, context: grpc.ServicerContext
    ) -> enrolment.ReportKeyResponse:
        if not _NAME.fullmatch(request.party) or not _DIGEST.fullmatch(request.shown):
            raise InvalidRequestError("a report names a party and a fingerprint")
        self._rotations.report(self._caller(context), request.party, request.shown)
        return enrolment.ReportKeyResponse()
