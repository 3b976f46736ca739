"""What the hub relies on, from local disk and S3 alike."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from linkage.errors import NotFoundError
from linkage.store.blobs import CHUNK_BYTES, Blobs

BIG = hashlib.shake_256(b"big").digest(5 * CHUNK_BYTES // 2)


def test_what_is_put_can_be_had(blobs: Blobs) -> None:
    blobs.put("runs/1/report.json", b"{}")
    assert blobs.get("runs/1/report.json") == b"{}"
    assert blobs.local("runs/1/report.json").read_bytes() == b"{}"
    assert blobs.exists("runs/1/report.json")


def test_an_empty_blob_is_there(blobs: Blobs) -> None:
    blobs.put("empty", b"")
    assert blobs.exists("empty")
    assert blobs.get("empty") == b""
    assert list(blobs.stream("empty")) == []


def test_putting_again_replaces(blobs: Blobs) -> None:
    """A step that is repeated after a crash writes its result again."""
    blobs.put("runs/1/x", b"old and longer")
    blobs.put("runs/1/x", b"new")
    assert blobs.get("runs/1/x") == b"new"


def test_a_file_is_adopted_whole(blobs: Blobs, tmp_path: Path) -> None:
    path = tmp_path / "upload.part"
    path.write_bytes(BIG)
    blobs.adopt("uploads/1", path)
    assert not path.exists()
    assert blobs.get("uploads/1") == BIG
    data = np.memmap(blobs.local("uploads/1"), np.uint8, "r")
    assert data.tobytes() == BIG


@pytest.mark.parametrize(
    "offset", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, len(BIG) - 1, len(BIG), len(BIG) + 1]
)
def test_a_stream_begins_at_any_offset(blobs: Blobs, offset: int) -> None:
    blobs.put("uploads/1", BIG)
    chunks = list(blobs.stream("uploads/1", offset))
    assert b"".join(chunks) == BIG[offset:]
    assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)


def test_what_is_not_there_is_not_found(blobs: Blobs) -> None:
    for act in (
        blobs.get,
        blobs.local,
        lambda key: list(blobs.stream(key)),
    ):
        with pytest.raises(NotFoundError, match="nothing/here"):
            act("nothing/here")
    assert not blobs.exists("nothing/here")
    blobs.delete("nothing/here")
    blobs.delete_all("nothing")


def test_deleting_leaves_nothing_not_even_the_local_copy(blobs: Blobs, tmp_path: Path) -> None:
    blobs.put("uploads/1", BIG)
    blobs.local("uploads/1")
    blobs.delete("uploads/1")
    assert not blobs.exists("uploads/1")
    with pytest.raises(NotFoundError):
        blobs.local("uploads/1")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_deleting_all_of_one_thing_spares_its_neighbour(blobs: Blobs, tmp_path: Path) -> None:
    for key in ("runs/1/a", "runs/1/b/c", "runs/12/a", "releases/1/a"):
        blobs.put(key, b"x")
        blobs.local(key)
    blobs.delete_all("runs/1")
    kept = [k for k in ("runs/1/a", "runs/1/b/c", "runs/12/a", "releases/1/a") if blobs.exists(k)]
    assert kept == ["runs/12/a", "releases/1/a"]
    assert not (tmp_path / "cache" / "runs" / "1").exists()


def test_another_process_sees_the_same(open_blobs: Callable[[str], Blobs]) -> None:
    open_blobs("one").put("uploads/1", BIG)
    assert open_blobs("two").local("uploads/1").read_bytes() == BIG


def test_many_readers_at_once_all_get_all(open_blobs: Callable[[str], Blobs]) -> None:
    """Several calls may want the same upload as a local file before any of them has it."""
    open_blobs("writer").put("uploads/1", BIG)
    for attempt in range(5):
        reader = open_blobs(f"reader-{attempt}")
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _, r=reader: r.local("uploads/1").read_bytes(), range(8)))
        assert all(data == BIG for data in found)


def test_nobody_else_can_read_what_lies_on_disk(blobs: Blobs, tmp_path: Path) -> None:
    blobs.put("runs/1/x", b"x")
    blobs.local("runs/1/x")
    tops = [path for path in (tmp_path / "blobs", tmp_path / "cache") if path.exists()]
    assert tops
    for top in tops:
        assert stat.S_IMODE(top.stat().st_mode) == 0o700
