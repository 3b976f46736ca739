"""How fast an upload goes over mutual TLS, beside what the disk and the digest allow.

A real hub process on loopback; the time is that of the agent's own `send`, from the announcement
to the receipt, with both digests and the hub's checks of the content.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from linkage.agent.upload import send
from linkage.agreement import parse_manifest
from linkage.agreement.audits import AuditSummary, Verdict
from linkage.cli.rehearsal import Rehearsal
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.rpc.party import Party
from linkage.synthetic import County, write_county
from linkage.trust.headers import EncodingsHeader, expiry, new_nonce
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign

ROWS = 150_000


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        county = write_county(County.make(people=500), directory / "county")
        manifest = parse_manifest(county.manifest.read_bytes())
        with Rehearsal(manifest, county.identifiers, directory / "work") as rehearsal:
            rehearsal.start_hub()
            rehearsal.enrol()
            rehearsal.agree()
            home = rehearsal.directory / "parties" / "health"
            path = directory / "encodings"
            layout = _write(path, manifest.fingerprint, tuple(k.name for k in manifest.match_keys))
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            header = EncodingsHeader(
                project=manifest.project,
                fingerprint=manifest.fingerprint,
                epoch=0,
                partner="health",
                digest=digest,
                size=layout.size,
                nonce=new_nonce(),
                expires=expiry(),
                scheme=layout.scheme,
                bits=layout.bits,
                match_keys=layout.match_keys,
                rows=layout.rows,
                audit=AuditSummary(tool="test", verdict=Verdict.TOO_FEW, rows=0, whole=True),
                key_check="0" * 32,
            )
            os.environ["LINKAGE_HUB"] = rehearsal.processes.environment["LINKAGE_HUB"]
            try:
                with Party.load(home).connect() as connection:
                    key = Keyring(home / "keys").signing_key
                    start = time.perf_counter()
                    send(
                        connection,
                        path,
                        header=header.canonical,
                        signature=sign(key, header.canonical),
                        progress=lambda sent, size: None,
                    )
                    seconds = time.perf_counter() - start
            finally:
                del os.environ["LINKAGE_HUB"]
        size = layout.size / 1e6
        limit = _write_and_digest(path, directory / "copy")
    return {
        "upload_mbps": size / seconds,
        "disk_and_digest_mbps": size / limit,
        "upload_to_disk_and_digest_ratio": limit / seconds,
    }


def _write(path: Path, fingerprint: str, keys: tuple[str, ...]) -> EncodingLayout:
    """A made-up upload of `ROWS` rows."""
    layout = EncodingLayout("saul-v1", 2048, keys, ROWS, fingerprint)
    random = np.random.default_rng(1)
    words = random.integers(0, 2**64, (len(keys), ROWS, layout.words_per_row), np.uint64)
    handles = random.integers(0, 256, (ROWS, 16), np.uint8)
    none = np.empty((ROWS, 0), np.uint8)
    presence = np.ones((len(keys), ROWS), np.bool_)
    matrix = EncodingMatrix(layout, handles, handles, none, presence, words)
    with path.open("wb") as file:
        for section in matrix.sections():
            file.write(section)
    return layout


def _write_and_digest(path: Path, copy: Path) -> float:
    """Seconds to copy a file to disk, synchronised, and to read it once for its SHA-256."""
    start = time.perf_counter()
    with path.open("rb") as source, copy.open("wb") as target:
        while chunk := source.read(1 << 20):
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    with copy.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return time.perf_counter() - start
