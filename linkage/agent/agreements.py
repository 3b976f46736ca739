"""What this partner signed, and which epochs of its projects it has seen.

    projects/<project>/manifest.json   the manifest in force, or until one is, the one signed last
    .../versions/<fingerprint>.json    every version that this partner signed
    .../epochs.json                    every epoch it has seen in force, and the manifest's version

- What the hub shows is held against this at every contact: a manifest that this partner did not
  sign, an epoch that goes back or skips, a history that reads otherwise than before, or an earlier
  version in force again are refused, whatever the hub's reason.
- A version that was signed is used only once the hub shows it in force, in an epoch of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from linkage import files
from linkage.agreement import Manifest, parse_manifest
from linkage.agreement.canonical import canonical, fingerprint
from linkage.errors import (
    EpochError,
    FingerprintMismatchError,
    NotAgreedError,
    NotFoundError,
    NotReadyError,
)
from linkage.v1 import project_pb2


@dataclass(frozen=True)
class Seen:
    """An epoch that was in force: its number, and its manifest's fingerprint and version."""

    epoch: int
    fingerprint: str
    version: int


_SEEN: TypeAdapter[list[Seen]] = TypeAdapter(list[Seen])


class Agreements:
    """The agreements of one project, in a directory of their own."""

    def __init__(self, directory: Path, project: str) -> None:
        self._directory = directory
        self._project = project

    def keep(self, manifest: Manifest) -> None:
        """A manifest that is about to be signed.

        Raises:
            EpochError: its version is not later than one that was in force.
        """
        seen = self.seen
        newest = max((one.version for one in seen), default=0)
        known = {one.fingerprint for one in seen}
        if manifest.fingerprint not in known and manifest.version <= newest:
            raise EpochError(
                f"version {newest} of {self._project!r} was in force; this one is numbered"
                f" {manifest.version}",
                remedy="Sign only the next version, after reading what changes",
            )
        versions = files.private_directory(self._directory / "versions")
        files.write_atomic(versions / f"{manifest.fingerprint}.json", manifest.canonical)
        if not seen:
            files.write_atomic(self._directory / "manifest.json", manifest.canonical)

    @property
    def signed(self) -> Manifest:
        """The manifest in force as this agent last saw it, or the one signed last.

        Raises:
            NotFoundError: it signed none.
        """
        path = self._directory / "manifest.json"
        if not path.exists():
            raise NotFoundError(
                f"this agent has not signed a manifest of project {self._project!r}",
                remedy="Run: linkage agent sign MANIFEST",
            )
        return parse_manifest(path.read_bytes())

    @property
    def seen(self) -> list[Seen]:
        """Every epoch that was seen in force, in order."""
        path = self._directory / "epochs.json"
        try:
            return _SEEN.validate_json(path.read_bytes()) if path.exists() else []
        except ValidationError:
            raise EpochError(
                f"{path} is damaged: which agreements were in force is not known",
                remedy="Put it back from a backup; without it the hub could show an older one",
            ) from None

    def version(self, digest: str) -> Manifest | None:
        """The version with that fingerprint, if this partner signed it."""
        path = self._directory / "versions" / f"{digest}.json"
        if len(digest) != 64 or not digest.isalnum() or not path.exists():
            return None
        found = parse_manifest(path.read_bytes())
        return found if found.fingerprint == digest else None

    def in_force(self, shown: project_pb2.Project) -> Manifest:
        """The manifest in force, after every check of what the hub shows.

        Raises:
            FingerprintMismatchError: this partner did not sign it.
            EpochError: the epoch, or the version, goes back or skips.
            NotAgreedError: it has expired.
            NotReadyError: not every partner has signed it.
        """
        manifest = self.signed
        if shown.fingerprint != manifest.fingerprint and (later := self._later(manifest, shown)):
            manifest = later
        require_same(manifest, shown.fingerprint, shown.manifest)
        require_not_expired(manifest)
        if shown.state != project_pb2.PROJECT_STATE_ACTIVE:
            signed = {s.partner for s in shown.signatures}
            waiting = [name for name in manifest.partner_names if name not in signed]
            raise NotReadyError(f"the manifest is not signed by {', '.join(waiting) or 'all'}")
        self._follow(manifest, shown)
        return manifest

    def _later(self, manifest: Manifest, shown: project_pb2.Project) -> Manifest | None:
        """A version that this partner signed, later than the one it knows to be in force."""
        found = self.version(shown.fingerprint)
        if found is not None and self.seen and found.version <= manifest.version:
            return None
        return found

    def _follow(self, manifest: Manifest, shown: project_pb2.Project) -> None:
        """Go on to the hub's epoch, if it follows the one that was seen last."""
        seen = self.seen
        history = {one.epoch: one.fingerprint for one in shown.epochs}
        if history.get(shown.epoch) != manifest.fingerprint or max(history) != shown.epoch:
            raise self._error("shows a history that does not end with the present epoch")
        for one in seen:
            if one.epoch > shown.epoch:
                raise self._error(f"is back in epoch {shown.epoch} after epoch {one.epoch}")
            if history.get(one.epoch, one.fingerprint) != one.fingerprint:
                raise self._error(f"says of epoch {one.epoch} what it did not say before")
        last = seen[-1] if seen else None
        if last is None or last.epoch < shown.epoch:
            if last is not None:
                skipped = [n for n in range(last.epoch, shown.epoch + 1) if n not in history]
                if skipped:
                    raise self._error(f"skips epoch {skipped[0]}")
                if manifest.version < last.version:
                    raise self._error(
                        f"has version {manifest.version} in force after version {last.version}"
                    )
            files.write_atomic(self._directory / "manifest.json", manifest.canonical)
            now = Seen(shown.epoch, manifest.fingerprint, manifest.version)
            kept = canonical([vars(one) for one in (*seen, now)])
            files.write_atomic(self._directory / "epochs.json", kept)
        elif last.fingerprint != manifest.fingerprint:
            raise self._error(f"changed the manifest within epoch {last.epoch}")

    def _error(self, what: str) -> EpochError:
        return EpochError(
            f"the hub {what}, in project {self._project!r}",
            remedy="Do not go on; ask the steward, and the other partners what their agents say",
        )


def require_not_expired(manifest: Manifest) -> None:
    """Raises NotAgreedError once a manifest's last day is over."""
    if datetime.now(UTC).date() > manifest.expires:
        raise NotAgreedError(
            f"the manifest of {manifest.project!r} expired on {manifest.expires}",
            remedy="The partners must sign a new version",
        )


def require_same(manifest: Manifest, digest: str, document: bytes) -> None:
    """Raises FingerprintMismatchError unless the hub shows exactly this manifest."""
    if digest != manifest.fingerprint or fingerprint(document) != manifest.fingerprint:
        raise FingerprintMismatchError(
            f"the hub's manifest of project {manifest.project!r} is not yours",
            remedy="Compare your file with the steward's; sign only what you have read",
        )
