"""Enrolment."""

from __future__ import annotations

import grpc

from linkage.hub.keys import Enrolment
from linkage.hub.servicers.common import (
    Callers,
    party_message,
    stamp,
)
from linkage.v1 import enrolment_pb2 as enrolment
from linkage.v1.enrolment_pb2_grpc import EnrolmentServiceServicer


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
