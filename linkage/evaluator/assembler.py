"""The assembler: opens the parcels of a release and joins them into an extract.

- It believes what `fetching` lets it believe.
- What leaves has passed the disclosure gate, stands in the release ledger, and bears study ids that
  no other recipient has; where the manifest asks for it, two checkers have signed it off.
- The study map is on this disk, whole, before the hub is told to delete its own.
- Repeating an assembly after a crash goes on from what is here.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from linkage.agreement import Manifest
from linkage.agreement.canonical import canonical
from linkage.errors import (
    InputError,
    StateError,
)
from linkage.evaluator.extract import About, write_extract
from linkage.evaluator.fetching import Fetcher, StudyMap, split_ids
from linkage.evaluator.ledger import Ledger, entry_of
from linkage.evaluator.signoff import SignOff, require_signed_off
from linkage.files import write_atomic
from linkage.release.assemble import Assembled, assemble
from linkage.release.gate import gate
from linkage.release.lookups import lookup_provenance
from linkage.release.pseudonyms import ID_BYTES, draw_ids
from linkage.rpc.channel import Connection
from linkage.rpc.covering import require_approved, require_covered
from linkage.rpc.party import Party
from linkage.rpc.witness import Witness
from linkage.trust.keyring import Keyring
from linkage.v1 import release_pb2

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Extract:
    """What an assembly left: the directory, its files, rows per table, and the gate's log."""

    directory: Path
    files: list[Path]
    rows: dict[str, int]
    suppression: dict[str, Any]


class Assembler:
    """The recipient that opens parcels.

    Args:
        home: keys, identity and, per release, what has been fetched.
    """

    def __init__(
        self,
        home: Path,
        connection: Connection,
        *,
        progress: Progress = lambda step, done, total: None,
    ) -> None:
        self._home = home
        self._name = Party.load(home).name
        self._keyring = Keyring(home / "keys")
        self._fetcher = Fetcher(home, self._name, self._keyring, connection)
        self._progress = progress

    def assemble(
        self,
        project: str,
        directory: Path,
        *,
        release: str | None = None,
        overwrite: bool = False,
        recipient: str | None = None,
        sign_offs: Sequence[SignOff] = (),
        stata: bool = False,
    ) -> Extract:
        """Fetch, open and join everything of a release into an extract.

        Args:
            release: its id; None takes the newest.
            recipient: whose extract, one of the manifest's recipients; None makes the assembler's.
            sign_offs: the checkers', where the manifest asks for them.
            stata: write Stata files too.

        Raises:
            NotReadyError: a partner's parcel is missing, or the release is not approved.
            StateError: the extract waits for checkers, in the home.
            DisclosureError: the gate cannot let it pass.
            AgreementError: the manifest does not cover the release.
            TrustError: a key was never compared, or a signature or seal does not hold.
        """
        shown, manifest = self._fetcher.agreed(project)
        recipient = self._recipient(manifest, recipient)
        found = self._fetcher.release(project, release)
        require_covered(found, manifest, {shown.epoch})
        require_approved(found, shown, manifest, self._keyring, own=self._name)
        parcels = self._fetcher.parcels(manifest, found)
        tables: dict[tuple[str, str], pa.Table] = {}
        for number, parcel in enumerate(parcels):
            self._progress("open parcels", number, len(parcels))
            for name, table in self._fetcher.open(shown, manifest, found, parcel).items():
                tables[parcel.partner, name] = table
        study_ids, day_shifts = self._fetcher.study_map(found.release)
        # Before the extract stands: a crash after it would leave the map at the hub for good.
        self._fetcher.acknowledge(found.release, study_ids)
        own_ids = self._own_ids(found.release, recipient, study_ids)
        lookups = lookup_provenance(manifest, tables, recipient)
        assembled = assemble(manifest, tables, own_ids, day_shifts, recipient=recipient)
        del tables, study_ids, own_ids, day_shifts
        ledger = Ledger(self._home, project)
        self._progress("check disclosure", 0, 1)
        gated = gate(
            manifest,
            assembled,
            published=ledger.newest(found.release, recipient),
            hidden=ledger.hidden(found.release, recipient),
        )
        del assembled
        persons = ledger.persons(gated.assembled)
        rules = manifest.disclosure
        ledger.require_as_before(found.release, recipient, persons, gated.counts)
        ledger.require_counts_apart(found.release, recipient, gated.counts, rules.min_cell)
        ledger.require_apart(found.release, recipient, persons, rules.k)
        self._progress("check disclosure", 1, 1)
        about = About(
            recipient=recipient,
            counts=gated.counts,
            suppression=gated.log,
            coarser=gated.coarser,
            provenance=self._provenance(manifest, found, recipient, parcels) | {"lookups": lookups},
            stata=stata,
        )
        quality = self._fetcher.quality(found.run)

        def leave(digest: str) -> None:
            require_signed_off(manifest, found.release, recipient, digest, sign_offs)
            entry = entry_of(
                gated.assembled,
                gated.counts,
                release=found.release,
                recipient=recipient,
                manifest=manifest.fingerprint,
                extract=digest,
            )
            # Before the extract is to be seen.
            ledger.add(entry, persons)

        if rules.two_checkers and not sign_offs:
            waiting = self._home / "releases" / found.release / f"unchecked-{recipient}"
            write_extract(
                waiting,
                gated.assembled,
                manifest=manifest,
                quality=quality,
                overwrite=True,
                about=about,
            )
            raise StateError(
                f"the extract waits in {waiting} for two checkers",
                remedy="Two of "
                + ", ".join(one.name for one in rules.checkers)
                + " read it and run: linkage evaluator sign-off; then assemble with their files",
            )
        written = write_extract(
            directory,
            gated.assembled,
            manifest=manifest,
            quality=quality,
            overwrite=overwrite,
            about=about,
            ready=leave,
        )
        return Extract(directory, written, _rows(gated.assembled), gated.log)

    def _recipient(self, manifest: Manifest, recipient: str | None) -> str:
        names = [one.name for one in manifest.recipients]
        if (recipient or self._name) not in names:
            raise InputError(
                f"the manifest names no recipient {recipient or self._name!r}",
                remedy=f"Its recipients are {', '.join(names)}",
            )
        return recipient or self._name

    def _own_ids(self, release: str, recipient: str, study_ids: StudyMap) -> StudyMap:
        """The study map with ids that this recipient alone gets: random, and drawn once."""
        path = self._home / "releases" / release / f"study-{recipient}.parquet"
        if not path.exists():
            known = sorted({study for ids in study_ids.values() for study in ids.values()})
            drawn = draw_ids(len(known)).tobytes()
            kind = pa.binary(ID_BYTES)
            table = pa.table(
                {
                    "study_id": pa.array(known, kind),
                    "own_id": pa.array(split_ids(drawn), kind),
                }
            )
            sink = io.BytesIO()
            pq.write_table(table, sink)
            write_atomic(path, sink.getvalue())
        table = pq.read_table(path)
        own = dict(zip(table["study_id"].to_pylist(), table["own_id"].to_pylist(), strict=True))
        return {
            partner: {index: own[study] for index, study in ids.items()}
            for partner, ids in study_ids.items()
        }

    def _provenance(
        self,
        manifest: Manifest,
        release: release_pb2.Release,
        recipient: str,
        parcels: Sequence[release_pb2.Parcel],
    ) -> dict[str, Any]:
        """Where an extract comes from; as it was when it was first made."""
        path = self._home / "releases" / release.release / f"provenance-{recipient}.json"
        if not path.exists():
            last = Witness(self._home).last
            said = {
                "linkage": "provenance/1",
                "project": manifest.project,
                "manifest": manifest.fingerprint,
                "release": release.release,
                "run": release.run,
                "threshold": release.threshold,
                "recipient": recipient,
                "parcels": {one.partner: hashlib.sha256(one.header).hexdigest() for one in parcels},
                "log_checkpoint": last.note.decode("utf-8") if last else None,
            }
            write_atomic(path, canonical(said))
        found: dict[str, Any] = json.loads(path.read_bytes())
        # What made these very bytes.
        return found | {
            "software": {
                name: version(name) for name in ("linkage", "numpy", "pandas", "pyarrow", "scipy")
            }
        }


def _rows(assembled: Assembled) -> dict[str, int]:
    return {name: table.num_rows for name, table in assembled.named.items()}
