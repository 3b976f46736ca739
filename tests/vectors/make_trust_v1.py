"""Write `trust_v1.json` from the reference: python tests/vectors/make_trust_v1.py"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import trust_v1_reference as reference  # noqa: E402

PARTNERS = ("sheriff", "health", "social")
PROJECTS = (("prairie", 0), ("prairie", 1), ("a", 1_000_000), ("with-dash_and_line", 7))


def _bytes(label: str, size: int) -> bytes:
    return hashlib.shake_256(label.encode()).digest(size)


def main() -> None:
    key = Ed25519PrivateKey.from_private_bytes(_bytes("signing key", 32))
    cases = []
    for project, epoch in PROJECTS:
        secret, fingerprint = _bytes(f"secret {project}", 32), _bytes(f"print {epoch}", 32).hex()
        address = {
            "project": project,
            "fingerprint": fingerprint,
            "epoch": epoch,
            "sender": "sheriff",
            "recipient": "health",
        }
        release = {
            "release": _bytes("release", 16).hex(),
            "project": project,
            "run": _bytes("run", 16).hex(),
            "fingerprint": fingerprint,
            "epoch": epoch,
            "report": _bytes("report", 32).hex(),
            "summary": _bytes("summary", 32).hex(),
            "uploads": {name: _bytes(f"header {name}", 32).hex() for name in PARTNERS},
        }
        place = {"project": project, "fingerprint": fingerprint, "epoch": epoch}
        contributions = {name: _bytes(f"part {name} {epoch}", 32) for name in PARTNERS}
        promises = [
            (name, reference.commitment(place, name, part)) for name, part in contributions.items()
        ]
        made = reference.project_secret(place, promises, contributions)
        sealed = _bytes("sealed", 100)
        manifest = reference.manifest_statement(project, fingerprint, "sheriff")
        cases.append(
            {
                "project": project,
                "fingerprint": fingerprint,
                "epoch": epoch,
                "contributions": {name: part.hex() for name, part in contributions.items()},
                "commitments": dict(promises),
                "commitment_statements": {
                    name: reference.commitment_statement(place, name, digest).decode()
                    for name, digest in promises
                },
                "commitments_digest": reference.commitments_digest(promises),
                "project_secret": made.hex(),
                "project_secret_check": reference.key_check(made, project, fingerprint, epoch),
                "secret": secret.hex(),
                "key_check": reference.key_check(secret, project, fingerprint, epoch),
                "manifest_statement": manifest.decode(),
                "manifest_signature": key.sign(reference.signed_bytes(manifest)).hex(),
                "address": address,
                "sealed": sealed.hex(),
                "envelope_statement": reference.envelope_statement(address, sealed).decode(),
                "envelope_binding": reference.envelope_binding(address).hex(),
                "release": release,
                "release_statements": {
                    text: reference.release_statement(release, text).decode()
                    for text in ("0", "1", "0.5", "0.9999", "1e-9", "0.30000000000000004")
                },
            }
        )
    parts = [_bytes(name, size) for name, size in (("token", 32), ("request", 200))]
    keys = [key.public_key().public_bytes_raw(), _bytes("sealing key", 1216)]
    written = {
        "signing_key": _bytes("signing key", 32).hex(),
        "cases": cases,
        "enrolment": {
            "parts": [part.hex() for part in (*parts, *keys)],
            "statement": reference.enrolment_statement(*parts, *keys).decode(),
            "party_fingerprint": reference.party_fingerprint(*keys),
        },
    }
    text = json.dumps(written, indent=1, sort_keys=True)
    (HERE / "trust_v1.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
