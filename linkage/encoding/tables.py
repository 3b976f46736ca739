"""The pseudo-random rows of the tokens one match key has met.

- A token's row is computed once and kept until `clear` or `forget`.
- Rows are only ever added behind those in use, or in a new array, so that a thread that reads
  earlier rows is not disturbed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linkage.agreement import Manifest, MatchKey
from linkage.encoding.clk import ClkScheme
from linkage.encoding.minhash import MinhashScheme
from linkage.encoding.prf import TIE_BREAK, derive_key, forget, namespace_of
from linkage.encoding.saul import SaulScheme
from linkage.encoding.tokens import Vocabulary


class KeyTable:
    """Keys and token rows of one match key."""

    def __init__(
        self,
        manifest: Manifest,
        match_key: MatchKey,
        scheme: SaulScheme | MinhashScheme | ClkScheme,
        secret: bytes,
        epoch: int,
    ) -> None:
        self.scheme = scheme
        self._namespaces = sorted({namespace_of(manifest.field(n)) for n in match_key.fields})
        self._keys = {
            namespace: derive_key(
                secret,
                scheme=manifest.scheme.name,
                parameters=scheme.parameters,
                project=manifest.project,
                epoch=epoch,
                match_key=match_key.name,
                namespace=namespace,
            )
            for namespace in sorted({TIE_BREAK, *self._namespaces})
        }
        self.clear()

    def clear(self) -> None:
        """Drop all token rows."""
        self._rows = self.scheme.reserved_rows(self._keys[TIE_BREAK])
        self._used = len(self._rows)
        self._parts = np.full(self._used, -1, np.int32)
        self._places: dict[tuple[str, int], npt.NDArray[np.int32]] = {}

    def forget(self) -> None:
        """Overwrite the keys and the token rows."""
        for key in self._keys.values():
            forget(key)
        self._rows[:] = 0
        self._places.clear()

    @property
    def rows(self) -> npt.NDArray[np.uint64]:
        """(rows, words) uint64: reserved rows, then those `places` points to."""
        return self._rows

    @property
    def parts(self) -> npt.NDArray[np.int32]:
        """(rows,) the place of each row's namespace among the match key's, in order; -1 of rows
        that are of no token.
        """
        return self._parts

    def places(self, namespace: str, weight: int, vocabulary: Vocabulary) -> npt.NDArray[np.int32]:
        """For each token of a vocabulary its row, made now where it is new."""
        table_weight = self.scheme.table_weight(weight)
        known = self._places.get((namespace, table_weight), np.empty(0, dtype=np.int32))
        if len(known) < len(vocabulary):
            made = self.scheme.rows(
                self._keys[namespace], vocabulary.texts(len(known)), table_weight
            )
            self._append(made, self._namespaces.index(namespace))
            new = np.arange(self._used - len(made), self._used, dtype=np.int32)
            known = self._places[namespace, table_weight] = np.concatenate([known, new])
        return known

    def _append(self, made: npt.NDArray[np.uint64], part: int) -> None:
        needed = self._used + len(made)
        if needed > len(self._rows):
            grown = np.zeros((max(needed, 2 * len(self._rows)), made.shape[1]), dtype=np.uint64)
            grown[: self._used] = self._rows[: self._used]
            self._rows = grown
        self._rows[self._used : needed] = made
        self._parts = np.concatenate([self._parts, np.full(len(made), part, np.int32)])
        self._used = needed
