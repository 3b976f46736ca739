"""This partner's content for one release: packed, sealed, sent to the assembler through the hub.

    parcel = Parcel(release)
    if parcel.arrived is None:
        parcel.pack(file, content, lookups)
        contributed = parcel.send(progress)

A parcel is packed once from the same files: a killed agent sends the same bytes again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from linkage import files
from linkage.agent.checking import Progress
from linkage.agent.content import pack_content
from linkage.agent.lookups import digests_of
from linkage.agent.records import read_row_map
from linkage.agent.releases import CoveredRelease
from linkage.agent.source import SourceFile
from linkage.agreement.canonical import canonical, fingerprint
from linkage.trust.headers import ParcelHeader, expiry, new_nonce
from linkage.v1 import upload_pb2

_LEFT_OUT, _LOOKUPS = "skipped.json", "lookups.json"


@dataclass(frozen=True)
class Contributed:
    """The hub's receipt for a parcel.

    Attributes:
        left_out: per content table, how many rows belong to records that were skipped at submit.
        lookups: per content table and field, how many cells were looked up (`rows`), and how many
            of them had no entry (`unmatched`).
    """

    receipt: upload_pb2.Receipt
    left_out: dict[str, int]
    lookups: dict[str, dict[str, dict[str, int]]]


class Parcel:
    """The parcel of an approved release."""

    def __init__(self, release: CoveredRelease) -> None:
        self._contact = release.contact
        self._release = release
        self._outbox = release.contact.kept.parcel(release.id)

    @property
    def arrived(self) -> Contributed | None:
        """What the hub has; None where it has nothing, or its receipt is not here."""
        receipt = self._outbox.receipt
        there = self._contact.name in self._release.found.contributed
        return self._contributed(receipt) if there and receipt is not None else None

    def pack(self, file: Path, content: Mapping[str, Path], lookups: Mapping[str, Path]) -> None:
        """Have it ready to be sent; see `Agent.contribute`."""
        contact, outbox, said = self._contact, self._outbox, self._release.said
        made_from = {name: SourceFile(path).digest() for name, path in content.items()}
        made_from |= digests_of(lookups)
        if outbox.made_from == made_from and outbox.live:
            return
        sent = contact.kept.encodings(said.epoch)
        packed = pack_content(
            contact,
            said.release,
            sent=read_row_map(sent.directory),
            file=file,
            submitted=(sent.made_from or {}).get("source", ""),
            content=content,
            lookups=lookups,
        )
        outbox.clear()
        files.write_atomic(outbox.payload, packed.parcel)
        header = ParcelHeader(
            project=contact.project,
            fingerprint=contact.manifest.fingerprint,
            epoch=said.epoch,
            partner=contact.name,
            digest=fingerprint(packed.parcel),
            size=len(packed.parcel),
            nonce=new_nonce(),
            expires=expiry(),
            release=said.release,
            recipient=contact.manifest.assembler,
        )
        files.write_atomic(outbox.directory / _LEFT_OUT, canonical(packed.left_out))
        files.write_atomic(outbox.directory / _LOOKUPS, canonical(packed.told))
        outbox.announce(header, made_from)

    def send(self, progress: Progress) -> Contributed:
        """Send what was packed; see `Outbox.send`."""
        return self._contributed(self._contact.send(self._outbox, "contribute", progress))

    def _contributed(self, receipt: upload_pb2.Receipt) -> Contributed:
        kept = [self._outbox.directory / name for name in (_LEFT_OUT, _LOOKUPS)]
        left_out, lookups = (json.loads(p.read_bytes()) if p.exists() else {} for p in kept)
        return Contributed(receipt, left_out, lookups)
