"""One thing to send, kept on disk until the hub's receipt for it is here too.

    payload      the bytes
    source.json  what they were made from
    header.json  the signed header; written last, so that it is there only when all is
    receipt.bin  the hub's receipt

A killed agent finds its outbox again and goes on from it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage import files
from linkage.agent.upload import send
from linkage.agreement.canonical import canonical, fingerprint
from linkage.errors import InvalidRequestError
from linkage.rpc.channel import Connection
from linkage.rpc.witness import Witness
from linkage.trust.headers import EncodingsHeader, Header, parse_header
from linkage.trust.identity import Role
from linkage.trust.signing import sign
from linkage.v1 import upload_pb2

# A header with less time left than this is made anew before anything is sent.
MARGIN = timedelta(hours=1)


class Outbox:
    """The outbox in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def payload(self) -> Path:
        return self.directory / "payload"

    @property
    def header(self) -> Header | None:
        """What was announced, or None where nothing was."""
        try:
            return parse_header((self.directory / "header.json").read_bytes())
        except (FileNotFoundError, InvalidRequestError):
            return None

    @property
    def round(self) -> int:
        """Which of the partner's encodings are here; 0 where none are."""
        header = self.header
        return header.round if isinstance(header, EncodingsHeader) else 0

    @property
    def made_from(self) -> dict[str, Any] | None:
        """What the payload was made from, or None where nothing is ready."""
        header = self.header
        if header is None or not self.payload.exists():
            return None
        if self.payload.stat().st_size != header.size:
            return None
        try:
            found: dict[str, Any] = json.loads((self.directory / "source.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return found

    @property
    def live(self) -> bool:
        """Whether the hub still takes the header."""
        header = self.header
        return header is not None and header.expires > datetime.now(UTC) + MARGIN

    @property
    def receipt(self) -> upload_pb2.Receipt | None:
        path = self.directory / "receipt.bin"
        return upload_pb2.Receipt.FromString(path.read_bytes()) if path.exists() else None

    def clear(self) -> Path:
        """Start anew with an empty directory."""
        shutil.rmtree(self.directory, ignore_errors=True)
        return files.private_directory(self.directory)

    def announce(self, header: Header, made_from: Mapping[str, Any]) -> None:
        """The payload is complete: this is what it is."""
        files.write_atomic(self.directory / "source.json", canonical(dict(made_from)))
        files.write_atomic(self.directory / "header.json", header.canonical)

    def send(
        self,
        connection: Connection,
        key: Ed25519PrivateKey,
        progress: Callable[[int, int], None],
        witness: Witness,
    ) -> upload_pb2.Receipt:
        """Send what is here, from wherever the hub stands, and keep the receipt.

        Raises:
            LogInconsistentError: the receipt does not prove that the upload is in the hub's log.
        """
        raw = (self.directory / "header.json").read_bytes()
        header = parse_header(raw)
        audit = {"audit": header.audit.verdict.value} if isinstance(header, EncodingsHeader) else {}
        receipt = send(
            connection, self.payload, header=raw, signature=sign(key, raw), progress=progress
        )
        witness.require_receipt(
            connection,
            receipt.log,
            "upload.finished",
            name=f"upload-{receipt.upload}",
            project=header.project,
            party=f"{Role.PARTNER}/{header.partner}",
            subject=receipt.upload,
            header=fingerprint(raw),
            digest=header.digest,
            **audit,
        )
        files.write_atomic(self.directory / "receipt.bin", receipt.SerializeToString())
        return receipt

    def take_the_place_of(self, other: Outbox) -> None:
        """Put this outbox where another one was."""
        shutil.rmtree(other.directory, ignore_errors=True)
        self.directory.rename(other.directory)
        files.sync_directory(other.directory.parent)
