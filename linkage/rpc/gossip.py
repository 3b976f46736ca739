"""Heads: parties tell each other, through the hub, which log they were shown.

- A head is a party's last verified checkpoint, signed by it. The hub relays heads and cannot make
  one; a hub that shows two logs has to relay a head of one to those who know the other, or keep it
  back, which its age gives away.
- Another's head is believed under the keys whose fingerprint a person compared, and then has to be
  of the log that this party knows.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

from linkage.agreement.canonical import canonical
from linkage.errors import SignatureError, UntrustedKeyError
from linkage.files import write_atomic
from linkage.rpc.channel import Connection
from linkage.rpc.witness import Witness
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign, verify
from linkage.trust.statements import HeadStatement
from linkage.v1 import log_pb2 as pb
from linkage.v1.log_pb2_grpc import LogServiceStub

CONSISTENT = "consistent"
NOT_COMPARED = "keys not compared"
OTHER_KEYS = "other keys than those you trust"
WITHHELD = "older than the one seen before"


@dataclass(frozen=True)
class HeadSeen:
    """What this party knows of another's head.

    Attributes:
        time: when the other party verified it, seconds since the epoch; 0 where it is not believed.
        state: one of the constants above.
    """

    party: str
    size: int
    time: int
    state: str


def exchange_heads(
    connection: Connection, witness: Witness, keyring: Keyring, name: str
) -> list[HeadSeen]:
    """Hand over this party's head, and see that those of others are of the same log.

    Args:
        name: this party's.

    Raises:
        LogInconsistentError: another party was shown another log; names it, and keeps evidence.
        SignatureError: a head is not signed by who it is said to be from.
    """
    stub = LogServiceStub(connection.channel)
    last = witness.last
    if last is not None and last.size:
        said = HeadStatement(party=name, time=int(time.time()), checkpoint=last.note.decode())
        signature = sign(keyring.signing_key, said.canonical)
        request = pb.PutHeadRequest(statement=said.canonical, signature=signature)
        connection.call(stub.PutHead, request)
    heads = connection.call(stub.ListHeads, pb.ListHeadsRequest()).heads
    known = heads_seen(witness)
    found = [
        _judge(connection, witness, keyring, head, known.get(head.party))
        for head in heads
        if head.party != name
    ]
    # What is believed stays known, also when the hub shows something older, or nothing.
    known |= {one.party: one for one in found if one.state == CONSISTENT}
    fields = {one.party: asdict(one) for one in known.values()}
    write_atomic(witness.directory / "heads.json", canonical(fields))
    return found


def heads_seen(witness: Witness) -> dict[str, HeadSeen]:
    """The newest believed head of each other party."""
    path = witness.directory / "heads.json"
    fields = json.loads(path.read_bytes()) if path.exists() else {}
    return {party: HeadSeen(**values) for party, values in fields.items()}


def _judge(
    connection: Connection,
    witness: Witness,
    keyring: Keyring,
    head: pb.LogHead,
    known: HeadSeen | None,
) -> HeadSeen:
    if head.party not in keyring.trusted:
        return HeadSeen(head.party, 0, 0, NOT_COMPARED)
    try:
        keyring.require_trusted(head.party, head.signing_key, head.sealing_key)
    except UntrustedKeyError:
        return HeadSeen(head.party, 0, 0, OTHER_KEYS)
    what = "the head of the log"
    verify(head.signing_key, head.signature, head.statement, what=what, by=head.party)
    said = HeadStatement.parse(head.statement)
    if said.party != head.party:
        raise SignatureError(f"the head of {head.party!r} speaks of {said.party!r}")
    met = witness.require_consistent(
        connection, said.checkpoint.encode(), f"the partner {head.party!r}"
    )
    late = known is not None and said.time < known.time
    return HeadSeen(head.party, met.size, said.time, WITHHELD if late else CONSISTENT)
