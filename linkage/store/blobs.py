"""Large bytes by key: a local directory by default, S3, GCS or Azure the same (obstore).

- A key is visible once all of its bytes are there.
- Matching wants memory maps, so every blob can be had as a local file: the file itself on local
  disk, a cached copy otherwise.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import obstore
from obstore.exceptions import NotFoundError as ObstoreNotFoundError
from obstore.store import LocalStore, from_url

from linkage.errors import NotFoundError
from linkage.files import private_directory, sync_directory, write_atomic

CHUNK_BYTES = 1 << 20


class Blobs:
    """A store of blobs.

    Args:
        url: `file:///absolute/directory` or a URL that obstore knows, such as
            `s3://bucket/prefix`; credentials come from the environment.
        cache: directory for local copies of remote blobs.
        options: passed to obstore, such as `endpoint`.
    """

    def __init__(self, url: str, *, cache: Path, options: dict[str, str] | None = None) -> None:
        self._root: Path | None = None
        self._cache = private_directory(cache)
        if url.startswith("file://"):
            self._root = private_directory(Path(url.removeprefix("file://")))
            self._store = LocalStore(self._root)
        else:
            self._store = from_url(url, **(options or {}))  # type: ignore[call-overload]

    def put(self, key: str, data: bytes) -> None:
        """Store a blob; once this returns it survives a power cut."""
        if self._root is None:
            obstore.put(self._store, key, data)
            return
        target = self._root / key
        private_directory(target.parent)
        write_atomic(target, data)

    def adopt(self, key: str, path: Path) -> None:
        """Take over a local file: moved where blobs are local, else copied and then removed."""
        if self._root is None:
            obstore.put(self._store, key, path)
            path.unlink()
            return
        target = self._root / key
        private_directory(target.parent)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.replace(target)
        sync_directory(target.parent)

    def get(self, key: str) -> bytes:
        """All bytes of a blob.

        Raises:
            NotFoundError: there is none.
        """
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except (ObstoreNotFoundError, FileNotFoundError):
            raise NotFoundError(f"there is no blob {key!r}") from None

    def stream(self, key: str, offset: int = 0) -> Iterator[bytes]:
        """A blob's bytes from an offset on, in chunks."""
        with self.local(key).open("rb") as file:
            file.seek(offset)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def local(self, key: str) -> Path:
        """A local file with the blob's bytes, for memory maps; not to be written to.

        Raises:
            NotFoundError: there is no such blob.
        """
        if self._root is not None:
            path = self._root / key
        else:
            path = self._cache / key
            if not path.exists():
                self._fetch(key, path)
        if not path.exists():
            raise NotFoundError(f"there is no blob {key!r}")
        return path

    def exists(self, key: str) -> bool:
        try:
            obstore.head(self._store, key)
        except (ObstoreNotFoundError, FileNotFoundError):
            return False
        return True

    def delete(self, key: str) -> None:
        """Remove a blob and its cached copy; no error where there is none."""
        if self.exists(key):
            obstore.delete(self._store, key)
        (self._cache / key).unlink(missing_ok=True)

    def delete_all(self, prefix: str) -> None:
        """Remove every blob below a prefix."""
        for batch in obstore.list(self._store, prefix=prefix):
            for entry in batch:
                obstore.delete(self._store, entry["path"])
        shutil.rmtree(self._cache / prefix, ignore_errors=True)

    def _fetch(self, key: str, path: Path) -> None:
        private_directory(path.parent)
        # A name of its own: several calls may fetch the same blob at once.
        partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
        try:
            with partial.open("wb") as file:
                for chunk in obstore.get(self._store, key):
                    file.write(chunk)
            partial.replace(path)
        except (ObstoreNotFoundError, FileNotFoundError):
            raise NotFoundError(f"there is no blob {key!r}") from None
        finally:
            partial.unlink(missing_ok=True)
