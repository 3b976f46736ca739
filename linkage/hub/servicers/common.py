"""What all servicers share: who is calling, and the bounds of names, ids and pages."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from linkage.errors import InvalidRequestError
from linkage.rpc.interceptors import certificate_of
from linkage.rpc.party import ROLES
from linkage.store.sql import Row
from linkage.trust.identity import PartyId, Role, party_of
from linkage.v1 import enrolment_pb2 as enrolment

MAX_PAGE = 500
MAX_NAME = 128


class Callers:
    """Base of the servicers: knows the hub's name, and so who is calling."""

    def __init__(self, hub: str) -> None:
        self._hub = hub

    def _caller(self, context: grpc.ServicerContext) -> PartyId:
        return party_of(certificate_of(context), self._hub)


def name_of(text: str) -> str:
    if len(text) > MAX_NAME or not text.isprintable():
        raise InvalidRequestError(f"a name or token has at most {MAX_NAME} printable characters")
    return text


def request_id_of(text: str) -> str:
    if not 16 <= len(text) <= 64 or not text.isalnum():
        raise InvalidRequestError("a request id is 16 to 64 letters and digits")
    return text


def page_size_of(asked: int) -> int:
    return min(asked or MAX_PAGE, MAX_PAGE)


def stamp(seconds: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(seconds, UTC))
    return stamp


def party_message(row: Row) -> enrolment.Party:
    return enrolment.Party(
        name=row["name"],
        role=ROLES[Role(row["role"])],
        signing_key=row["signing_key"],
        sealing_key=row["sealing_key"],
        rotations=[
            enrolment.Rotation(
                **{name: one[name] for name in enrolment.Rotation.DESCRIPTOR.fields_by_name}
            )
            for one in row.get("rotations", ())
        ],
    )
