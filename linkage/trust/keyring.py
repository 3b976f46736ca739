"""A party's private keys, its project secrets, and the keys of others it has decided to trust.

- Every file is readable by its owner alone, and locked where the home is (see `vault`).
- A project secret is filed under project, manifest fingerprint and epoch: it is never used for
  anything else than what was signed.
- Another party's keys are trusted only after a person compared their fingerprint; a key that
  changed afterwards is refused.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import TypeAdapter, ValidationError

from linkage.agreement.canonical import canonical
from linkage.errors import AlreadyExistsError, TrustError, UntrustedKeyError
from linkage.files import private_directory, read_private, sync_directory, write_atomic
from linkage.trust.contributions import CONTRIBUTION_BYTES, SECRET_BYTES, new_contribution
from linkage.trust.fingerprints import parse
from linkage.trust.opening import PRIVATE_KEY_BYTES, SealingKey
from linkage.trust.rotation import Rotation, vouched_for
from linkage.trust.signing import key_fingerprint
from linkage.trust.statements import Commitment
from linkage.trust.vault import Vault

_EPOCH_FILE = re.compile(
    r"(?:secret|contribution|commitments)-(?P<project>.+)-[0-9a-f]{64}-(?P<epoch>\d+)\.(?:key|json)"
)
_COMMITMENTS: TypeAdapter[list[Commitment]] = TypeAdapter(list[Commitment])
_REFUSED: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_TRUSTED: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


class Keyring:
    """The keys in one directory.

    Args:
        directory: made by `create`; holds `signing.key`, `sealing.key`, `trusted.json`, one file
            per project secret, and after a change of keys the former sealing keys in `former/`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._vault = Vault(directory.parent)

    @classmethod
    def create(cls, directory: Path) -> Keyring:
        """Make new keys.

        Raises:
            AlreadyExistsError: there are keys already; they are never overwritten.
        """
        if (directory / "signing.key").exists():
            raise AlreadyExistsError(
                f"{directory} holds keys already", remedy="Use another home, or keep these keys"
            )
        private_directory(directory)
        made = cls(directory)
        made._write("sealing.key", SealingKey.generate().raw)
        made._write("signing.key", Ed25519PrivateKey.generate().private_bytes_raw())
        return made

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._read("signing.key", 32))

    @property
    def sealing_key(self) -> SealingKey:
        former = sorted((self._directory / "former").glob("*.key"), reverse=True)
        return SealingKey(
            self._read("sealing.key", PRIVATE_KEY_BYTES),
            tuple(self._read(f"former/{path.name}", PRIVATE_KEY_BYTES) for path in former),
        )

    @property
    def signing_public(self) -> bytes:
        return self.signing_key.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """What others compare before they trust this party."""
        return key_fingerprint(self.signing_public, self.sealing_key.public)

    def secret(self, project: str, fingerprint: str, epoch: int) -> bytes | None:
        """The project secret, or None while this party has none."""
        name = _epoch_name("secret", project, fingerprint, epoch)
        return self._read(name, SECRET_BYTES) if (self._directory / name).exists() else None

    def save_secret(
        self,
        project: str,
        fingerprint: str,
        epoch: int,
        secret: bytes,
        *,
        replace: bool = False,
    ) -> None:
        """Keep a secret; one that is there already must be the same, unless it is replaced.

        Raises:
            TrustError: another secret is filed under the same project, manifest and epoch.
        """
        if len(secret) != SECRET_BYTES:
            raise TrustError(f"a project secret has {SECRET_BYTES} bytes")
        known = self.secret(project, fingerprint, epoch)
        if known is None or replace:
            self._write(_epoch_name("secret", project, fingerprint, epoch), secret)
        elif not secrets.compare_digest(known, secret):
            raise TrustError("another project secret is already kept for this manifest and epoch")

    def contribution(self, project: str, fingerprint: str, epoch: int) -> bytes:
        """This party's contribution to a project secret; made, and kept, when first asked for.

        It is on the disk before anybody hears of it, so whatever is repeated after a crash is
        repeated with the same bytes.
        """
        name = _epoch_name("contribution", project, fingerprint, epoch)
        if not (self._directory / name).exists():
            self._write(name, new_contribution())
        return self._read(name, CONTRIBUTION_BYTES)

    def commitments(self, project: str, fingerprint: str, epoch: int) -> list[Commitment] | None:
        """The commitments that this party relied upon when it revealed its own contribution."""
        path = self._directory / _epoch_name("commitments", project, fingerprint, epoch, "json")
        if not path.exists():
            return None
        try:
            return _COMMITMENTS.validate_json(read_private(path))
        except ValidationError:
            raise TrustError(f"{path} is damaged", remedy="Put it back from a backup") from None

    def rely_on(self, commitments: Sequence[Commitment]) -> None:
        """Keep the commitments of one project, manifest and epoch, for good."""
        first = commitments[0]
        about = (first.project, first.fingerprint, first.epoch)
        path = self._directory / _epoch_name("commitments", *about, "json")
        write_atomic(path, canonical([one.model_dump() for one in commitments]))

    def forget_epochs(self, project: str, before: int) -> int:
        """Destroy the secrets, contributions and commitments of a project's earlier epochs.

        Files are written over before they are deleted; journals and snapshots of the disk may
        still hold what they held.

        Returns:
            How many epochs there were.
        """
        found = set()
        for path in self._directory.iterdir():
            match = _EPOCH_FILE.fullmatch(path.name)
            if match and match["project"] == project and int(match["epoch"]) < before:
                found.add(match["epoch"])
                _shred(path)
        sync_directory(self._directory)
        return len(found)

    def trust(self, name: str, fingerprint: str) -> None:
        """Pin another party's keys by a fingerprint that a person compared.

        Raises:
            TrustError: the fingerprint is malformed.
        """
        digest = parse(fingerprint)
        write_atomic(self._directory / "trusted.json", canonical({**self.trusted, name: digest}))

    @property
    def trusted(self) -> dict[str, str]:
        """Fingerprint by party.

        Raises:
            TrustError: the file is damaged: whom it named must be compared with again.
        """
        path = self._directory / "trusted.json"
        if not path.exists():
            return {}
        try:
            return _TRUSTED.validate_json(read_private(path))
        except ValidationError:
            raise TrustError(
                f"{path} is damaged",
                remedy="Put it back from a backup, or remove it and compare fingerprints again",
            ) from None

    def require_trusted(
        self,
        name: str,
        signing_key: bytes,
        sealing_key: bytes,
        rotations: Sequence[Rotation] = (),
    ) -> None:
        """Check keys that the hub says are a party's against the pinned fingerprint.

        Keys that differ from the pinned ones are written down in `refused.jsonl`.

        Args:
            rotations: how the party came to these keys, as the hub tells it; oldest first.

        Raises:
            UntrustedKeyError: never pinned, or not the pinned ones.
        """
        pinned = self.trusted.get(name)
        shown = key_fingerprint(signing_key, sealing_key)
        if pinned is None:
            raise UntrustedKeyError(
                f"the keys of {name!r} are not trusted yet",
                remedy=f"Have {name!r} read out its fingerprint over the telephone, and enter"
                " what you hear with the command trust",
            )
        if pinned != shown:
            vouched = vouched_for(name, pinned, signing_key, sealing_key, rotations)
            self._note_refused(name, pinned, shown, vouched)
            if vouched:
                raise UntrustedKeyError(
                    f"{name!r} changed its keys; those you trusted signed for the new ones",
                    remedy=f"Have {name!r} read out the new fingerprint, and enter what you hear"
                    " with the command trust; a thief of the old keys could have signed too",
                    party=name,
                    shown=shown,
                )
            raise UntrustedKeyError(
                f"the hub shows keys of {name!r} that differ from those you trusted",
                remedy=f"Do not go on; ask {name!r} whether it made new keys. Nothing vouches for"
                " them: the hub may have put its own in their place",
                party=name,
                shown=shown,
            )

    @property
    def refused(self) -> list[dict[str, Any]]:
        """Keys that were refused because others were trusted; oldest first."""
        path = self._directory / "refused.jsonl"
        if not path.exists():
            return []
        try:
            return [_REFUSED.validate_json(line) for line in read_private(path).splitlines()]
        except ValidationError:
            raise TrustError(
                f"{path} is damaged", remedy="Put it back from a backup, or remove it"
            ) from None

    def _note_refused(self, name: str, pinned: str, shown: str, vouched: bool) -> None:
        known = [one for one in self.refused if one["party"] == name]
        if known and (known[-1]["shown"], known[-1]["trusted"]) == (shown, pinned):
            return
        one = {
            "party": name,
            "trusted": pinned,
            "shown": shown,
            "vouched": vouched,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        lines = [canonical(entry) + b"\n" for entry in [*self.refused, one]]
        write_atomic(self._directory / "refused.jsonl", b"".join(lines))

    def prepare_rotation(self) -> tuple[Ed25519PrivateKey, SealingKey]:
        """Keys to change to, made on first use; they wait in `next/` until `rotate`."""
        left = self._directory / "next" / "signing.key"
        if left.exists() and self._read("next/signing.key", 32) == self._read("signing.key", 32):
            left.unlink()  # Of a change that is over, but for tidying up.
        if not left.exists():
            private_directory(self._directory / "next")
            self._write("next/sealing.key", SealingKey.generate().raw)
            self._write("next/signing.key", Ed25519PrivateKey.generate().private_bytes_raw())
        signing = Ed25519PrivateKey.from_private_bytes(self._read("next/signing.key", 32))
        return signing, SealingKey(self._read("next/sealing.key", PRIVATE_KEY_BYTES))

    def rotate(self) -> None:
        """Put the prepared keys in place; safe to repeat after a crash.

        The former sealing key is kept, to open what is under way to it. The former signing key is
        not: nobody shall sign with it again.
        """
        signing, sealing = self.prepare_rotation()
        current = self._read("sealing.key", PRIVATE_KEY_BYTES)
        if current != sealing.raw:
            private_directory(self._directory / "former")
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{self.fingerprint[:8]}.key"
            self._write(f"former/{name}", current)
            self._write("sealing.key", sealing.raw)
        self._write("signing.key", signing.private_bytes_raw())
        # The certificate first: it says that the change is under way.
        for name in ("tls.pem", "tls.key", "sealing.key", "signing.key"):
            (self._directory / "next" / name).unlink(missing_ok=True)

    def _write(self, name: str, data: bytes) -> None:
        self._vault.write(f"{self._directory.name}/{name}", data)

    def _read(self, name: str, size: int) -> bytes:
        data = self._vault.read(f"{self._directory.name}/{name}")
        if len(data) != size:
            raise TrustError(f"{self._directory / name} is damaged: {size} bytes expected")
        return data


def key_check(secret: bytes, project: str, fingerprint: str, epoch: int) -> str:
    """A value equal for all who hold the same secret, from which it cannot be found.

    HKDF-SHA256 (RFC 5869), 16 bytes as hex, under an `info` of its own.
    """
    info = b"linkage/v1 key check\0" + canonical(
        {"epoch": epoch, "fingerprint": fingerprint, "project": project}
    )
    return HKDF(hashes.SHA256(), 16, salt=None, info=info).derive(secret).hex()


def _epoch_name(what: str, project: str, fingerprint: str, epoch: int, kind: str = "key") -> str:
    return f"{what}-{project}-{fingerprint}-{epoch}.{kind}"


def _shred(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(secrets.token_bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
