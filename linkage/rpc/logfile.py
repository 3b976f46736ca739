"""The whole log: fetched, made into its tree anew, and written to a file that anybody can check.

An export is lines of JSON: first the log's public key and a checkpoint, then every leaf in order,
with what it is about where its reader may know. Who has the file and the key needs neither the hub
nor this program; tests/vectors/log_verifier.py does it in a hundred lines.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkage.errors import InputError, LogInconsistentError
from linkage.files import write_pieces
from linkage.rpc.channel import Connection
from linkage.rpc.witness import open_receipt
from linkage.trust.checkpoint import Checkpoint, LogVerifier
from linkage.trust.transparency import Entry, Opening, RootBuilder
from linkage.v1 import log_pb2 as pb
from linkage.v1.log_pb2_grpc import LogServiceStub

FORMAT = "log-export/1"


@dataclass(frozen=True)
class Leaf:
    """A leaf; `opening` is None where its reader may not know what it is about."""

    index: int
    leaf: bytes
    opening: Opening | None

    @property
    def entry(self) -> Entry | None:
        """What it is about.

        Raises:
            LogInconsistentError: the hub says something else than it committed to.
        """
        return None if self.opening is None else self.opening.require(self.leaf)


def fetch(connection: Connection, size: int, start: int = 0) -> Iterator[Leaf]:
    """Leaves from `start` up to a checkpoint's size.

    Raises:
        LogInconsistentError: the hub does not give all of them in order.
    """
    stub, at = LogServiceStub(connection.channel), start
    while at < size:
        page = connection.call(stub.ListEntries, pb.ListEntriesRequest(start=at)).entries
        for one in page[: size - at]:
            if one.index != at:
                raise LogInconsistentError(f"the hub does not show leaf {at} of its log")
            yield Leaf(at, one.leaf, Opening(one.salt, one.entry) if one.salt else None)
            at += 1
        if not page:
            raise LogInconsistentError(f"the hub does not show leaf {at} of its log")


def verified(leaves: Iterable[Leaf], checkpoint: Checkpoint) -> Iterator[tuple[Leaf, Entry | None]]:
    """All leaves with what they are about; ends only if their tree is the one that was signed.

    Raises:
        LogInconsistentError: a leaf was altered, moved, added or left out.
    """
    tree = RootBuilder()
    for leaf in leaves:
        tree.add(leaf.leaf)
        yield leaf, leaf.entry
    if (tree.size, tree.root) != (checkpoint.size, checkpoint.root):
        raise LogInconsistentError(
            f"the log's {tree.size} leaves do not make the tree of the signed checkpoint"
            f" over {checkpoint.size}",
            remedy="An entry was altered, moved, added or left out",
        )


def write_export(
    path: Path, verifier: LogVerifier, checkpoint: Checkpoint, leaves: Iterable[Leaf]
) -> None:
    """Write an export, leaf by leaf; no file stands if the leaves are not those signed."""

    def lines() -> Iterator[bytes]:
        head = {"linkage": FORMAT, "log": verifier.line, "checkpoint": checkpoint.note.decode()}
        yield json.dumps(head).encode() + b"\n"
        for leaf, _ in verified(leaves, checkpoint):
            fields = {"leaf": _text(leaf.leaf)}
            if leaf.opening is not None:
                fields |= {"salt": _text(leaf.opening.salt), "entry": _text(leaf.opening.entry)}
            yield json.dumps(fields).encode() + b"\n"

    write_pieces(path, lines(), mode=0o600)


def read_export(path: Path) -> tuple[LogVerifier, Checkpoint, Iterator[Leaf]]:
    """An export's key, its checkpoint once the signature holds, and its leaves.

    Raises:
        InputError: the file is no export.
        LogInconsistentError: the checkpoint is not signed by the key.
    """
    file = path.open("rb")
    try:
        head = json.loads(file.readline())
        if head["linkage"] != FORMAT:
            raise InputError(f"{path.name} is not an export of a log")
        verifier = LogVerifier.parse(head["log"])
        note = head["checkpoint"].encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path.name} is not an export of a log") from None

    def leaves() -> Iterator[Leaf]:
        with file:
            for index, line in enumerate(file):
                yield _leaf(path, index, line)

    return verifier, verifier.open(note), leaves()


def read_receipt(path: Path) -> tuple[LogVerifier, int, bytes, Entry]:
    """A kept receipt's key, index, leaf and entry, once it proves what it says.

    Raises:
        InputError: the file is no receipt.
        LogInconsistentError: it proves nothing.
    """
    try:
        fields = json.loads(path.read_bytes())
        verifier = LogVerifier.parse(fields["log"])
        receipt = pb.LogReceipt(
            entry=pb.LogEntry(
                index=fields["index"],
                leaf=_bytes(fields["leaf"]),
                salt=_bytes(fields["salt"]),
                entry=_bytes(fields["entry"]),
            ),
            inclusion=[_bytes(one) for one in fields["inclusion"]],
            checkpoint=fields["checkpoint"].encode(),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path.name} is not a receipt") from None
    entry = open_receipt(verifier, receipt)
    return verifier, receipt.entry.index, receipt.entry.leaf, entry


def _leaf(path: Path, index: int, line: bytes) -> Leaf:
    try:
        fields: dict[str, Any] = json.loads(line)
        opening = None
        if "salt" in fields:
            opening = Opening(_bytes(fields["salt"]), _bytes(fields["entry"]))
        return Leaf(index, _bytes(fields["leaf"]), opening)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path.name}: line {index + 2} is not a leaf") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
