"""Candidate search in large files: how long, how much memory, and what size costs in recall.

    python -m tests.bench.bench_candidates recall 500000
    python -m tests.bench.bench_candidates search 200000 8

- Recall: health against social services of the made-up county, 10,000 and 200,000 rows on the
  left, the same agencies, error rates and seed; the share of true pairs among the candidates.
- A million by a million is projected: 200,000 by 200,000 random encodings, eight match keys of
  2,048 bits, none missing, with the cut and the first look that a million rows take, times 25.
  What grows by the row alone (5 times as much) is so counted too high. The files are mapped from
  disk, as the hub's are; memory is what is not backed by a file, at its highest.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linkage.agreement import Manifest
from linkage.agreement.manifest import Saul
from linkage.encoding import DEFAULT_DATE_FORMATS, Encoder, normalise_column
from linkage.encodings import EncodingLayout, EncodingMatrix
from linkage.matching import LocalEngine, Pairs, Source, find_candidates, kernel
from linkage.matching.candidates import z_cut_for
from linkage.synthetic import County, demo_manifest

SCHEME = Saul(name="saul-v1")
QUOTA = 4
LARGE, SMALL = 500_000, 25_000
"""People of a county whose health file has 200,000 and 10,000 rows."""
MILLION = 1_000_000


def measure() -> dict[str, float]:
    """Figures of one run; see `tests.bench`. Each part in a process of its own, for its memory."""
    large, small = (_apart("recall", str(people)) for people in (LARGE, SMALL))
    search = _apart("search", "200000", "8")
    return {
        "candidates_recall_10k": small["recall"],
        "candidates_recall_200k": large["recall"],
        "candidates_recall_drop": small["recall"] - large["recall"],
        "candidates_look_loss_200k": large["look_loss"],
        "candidates_200k_anonymous_gib": search["anonymous_gib"],
        "candidates_200k_minutes": search["seconds"] / 60,
        "candidates_1m_minutes": search["seconds"] / 60 * (MILLION / 200_000) ** 2,
    }


def recall(people: int) -> dict[str, float]:
    """Candidate recall between health and social services."""
    manifest = Manifest.model_validate(demo_manifest())
    county = County.make(people)
    sources, persons = [], []
    for partner in manifest.partners:
        if partner.name not in {"health", "social"}:
            continue
        table = county.identifiers[partner.name]
        columns = {}
        for field in manifest.fields:
            cells = table[partner.columns.get(field.name, field.name)]
            known = [c if isinstance(c, str) and c not in partner.missing else None for c in cells]
            formats = partner.date_formats.get(field.name, DEFAULT_DATE_FORMATS)
            columns[field.name] = normalise_column(field, known, date_formats=formats).values
        with Encoder(manifest, bytes(32), epoch=1) as encoder:
            encoded = encoder.encode(columns, threads=2)
            layout = encoder.layout(len(table))
        sources.append(_source(partner.name, layout, encoded.presence, encoded.words))
        persons.append(table["truth"].to_numpy(np.int64))
    found, figures = _search(*sources)
    true = persons[0][found.left] == persons[1][found.right]
    return figures | {"recall": true.sum() / len(np.intersect1d(*persons))}


def search(rows: int, keys: int) -> dict[str, float]:
    """Random encodings with half their people in common, mapped from disk."""
    random = np.random.default_rng(1)
    layout = EncodingLayout("saul-v1", 2_048, tuple(f"k{n}" for n in range(keys)), rows, "0" * 64)
    with tempfile.TemporaryDirectory() as directory:
        files = [
            np.lib.format.open_memmap(f"{directory}/{n}.npy", "w+", np.uint64, (keys, rows, 32))
            for n in range(2)
        ]
        for key in range(keys):
            one, other, *noise = (
                random.integers(0, 2**64, (rows, 32), np.uint64) for _ in range(4)
            )
            other[: rows // 2] = (one ^ (noise[0] & noise[1]))[: rows // 2]
            files[0][key], files[1][key] = one, other
        del one, other, noise
        presence = np.ones((keys, rows), np.bool_)
        left, right = (
            _source(name, layout, presence, words)
            for name, words in zip(("left", "right"), files, strict=True)
        )
        return _search(left, right, z_cut=z_cut_for(MILLION))[1]


def _search(left: Source, right: Source, **settings: float) -> tuple[Pairs, dict[str, float]]:
    """What is found, how long it took and what it needed."""
    empty = EncodingLayout("saul-v1", 2_048, left.matrix.layout.match_keys, 0, "0" * 64)
    none = _source("none", empty, left.matrix.presence[:, :0], left.matrix.words[:, :0])
    other = _source("other", empty, none.matrix.presence, none.matrix.words)
    # So that compiling is not counted; a hub has done it before.
    find_candidates(none, other, SCHEME, quota=QUOTA, engine=LocalEngine(), z_cut=6.0)
    before = _anonymous()
    with _Watch() as watch:
        start, used = time.perf_counter(), time.process_time()
        found = find_candidates(left, right, SCHEME, quota=QUOTA, engine=LocalEngine(), **settings)
        seconds, used = time.perf_counter() - start, time.process_time() - used
    return found.pairs, {
        "seconds": seconds,
        "core_seconds": used,
        "pairs_per_core_second": found.compared / used,
        "anonymous_gib": watch.highest / 2**30,
        "anonymous_before_gib": before / 2**30,
        "considered": found.considered,
        "z_cut": found.z_cut,
        "look_bits": found.look_bits,
        "look_loss": found.look_loss,
        "looked": found.looked / max(found.compared, 1),
    }


class _Watch:
    """The most anonymous memory this process holds, looked at ten times a second."""

    def __enter__(self) -> _Watch:
        self.highest, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.1):
            self.highest = max(self.highest, _anonymous())


def _anonymous() -> int:
    """Bytes of this process's memory that no file backs (Linux)."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _source(
    name: str, layout: EncodingLayout, presence: npt.NDArray[np.bool_], words: kernel.Words
) -> Source:
    handles = np.random.default_rng(2).integers(0, 256, (layout.rows, 16), np.uint8)
    handles[:, :8] = np.arange(layout.rows, dtype=np.uint64)[:, None].view(np.uint8)
    strata = np.zeros((layout.rows, len(layout.strata)), np.uint8)
    return Source(name, EncodingMatrix(layout, handles, handles, strata, presence, words), True)


def _apart(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.bench_candidates", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    print(json.dumps({"recall": recall, "search": search}[what](*map(int, numbers)), indent=1))
