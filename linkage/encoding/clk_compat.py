"""`clk-v1` from a linkage schema: the filters clkhash 0.18.3 makes, bit for bit.

- A value is validated and formatted, cut into tokens and turned into a filter once, however often
  it stands in a column; so is a token. Both tables are bounded, and dropped when full.
- Keys are derived on construction and overwritten by `close`, as are the tables of tokens.
- The same on every platform: where clkhash follows the machine's byte order, the order is little.
- Nothing is normalised: what the schema's formats do not unify stays different.

    words = encode_clks(schema, [["1", "mary", "1976-07-04"]], secret)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count, islice
from types import TracebackType
from typing import cast

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from linkage.agreement.linkage_features import Feature
from linkage.agreement.linkage_schema import KEYS_PER_FEATURE, LinkageSchema
from linkage.encoding.clk_formats import formatter
from linkage.encoding.clk_positions import positions, union_filters
from linkage.encoding.clk_tokens import cutter
from linkage.encoding.prf import forget
from linkage.errors import Problem, SourceError, StateError

BLOCK_ROWS = 16_384
MAX_PROBLEMS = 1000
MAX_FILTERS_BYTES = 1 << 24  # of one feature's values
MAX_TOKENS = 1 << 17  # of one feature

Words = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]


def encode_clks(schema: LinkageSchema, rows: Sequence[Sequence[str]], secret: bytes) -> Words:
    """Encode rows whose cells stand in the order of the schema's features.

    Returns:
        (rows, bits / 64) uint64, rounded up; bit j of a filter is bit j % 64 of word j // 64.

    Raises:
        SourceError: rows of another length, or cells that the schema's formats refuse; all of
            them, by row and feature.
    """
    with ClkEncoder(schema, secret) as encoder:
        return encoder.encode_rows(rows)


class ClkEncoder:
    """Encodes under one linkage schema and secret. Not for use by two threads at once.

    Args:
        none_is_empty: a cell that is None gives no token, where clkhash refuses it.
    """

    def __init__(
        self, schema: LinkageSchema, secret: bytes, *, none_is_empty: bool = False
    ) -> None:
        self._schema = schema
        keys = _derive_keys(schema, secret)
        self._features = {
            column: _EncodedFeature(
                feature, keys[column], schema.filter_bits, none_is_empty=none_is_empty
            )
            for column, feature in schema.encoded.items()
        }
        for column in keys.keys() - self._features.keys():
            for key in keys[column]:
                forget(key)
        self._closed = False

    def __enter__(self) -> ClkEncoder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Overwrite keys and tables; the encoder can't be used afterwards."""
        for feature in self._features.values():
            feature.forget()
        self._closed = True

    def encode_rows(self, rows: Sequence[Sequence[str]]) -> Words:
        """See `encode_clks`."""
        width = len(self._schema.features)
        if set(map(len, rows)) - {width}:
            wrong = [i for i, row in enumerate(rows, 1) if len(row) != width]
            raise SourceError(
                "rows",
                [Problem(i, "", f"has not {width} cells") for i in wrong[:MAX_PROBLEMS]],
                total=len(wrong),
            )
        return self.encode(list(zip(*rows, strict=True)) if rows else [()] * width)

    def encode(self, columns: Sequence[Sequence[str]]) -> Words:
        """Encode columns of one length, one for each feature of the schema; see `encode_places`."""
        return self.encode_places(dict(enumerate(columns)))

    def encode_places(self, columns: Mapping[int, Sequence[str | None]]) -> Words:
        """Encode columns of one length by the place of their feature in the schema.

        Args:
            columns: those of ignored features are not looked at, and may be left out.

        Raises:
            SourceError: see `encode_clks`.
            StateError: the encoder is closed.
        """
        if self._closed:
            raise StateError("the encoder is closed")
        rows = len(next(iter(columns.values())))
        words = np.empty((rows, -(-self._schema.bits // 64)), dtype=np.uint64)
        problems: list[Problem] = []
        total = 0
        for start in range(0, rows, BLOCK_ROWS):
            end = min(start + BLOCK_ROWS, rows)
            filters = np.zeros((end - start, -(-self._schema.filter_bits // 64)), dtype=np.uint64)
            found: list[Problem] = []
            for column, feature in self._features.items():
                wrong = feature.add_to(filters, columns[column][start:end])
                name = self._schema.features[column].identifier
                found += [Problem(start + row + 1, name, text) for row, text in wrong]
            total += len(found)
            problems += sorted(found)[: MAX_PROBLEMS - len(problems)]
            words[start:end] = fold(filters, self._schema.bits, self._schema.config.xor_folds)
        if problems:
            raise SourceError("rows", problems, total=total)
        return words


def _derive_keys(schema: LinkageSchema, secret: bytes) -> dict[int, tuple[bytearray, bytearray]]:
    """Two keys for each feature, the ignored ones as well, cut one after another from HKDF."""
    kdf = schema.config.kdf
    size, features = kdf.key_size, len(schema.features)
    algorithm = SHA256() if kdf.hash == "SHA256" else SHA512()
    hkdf = HKDF(
        algorithm,
        size * KEYS_PER_FEATURE * features,
        salt=kdf.salt_bytes or None,
        info=kdf.info_bytes,
    )
    drawn = bytearray(hkdf.derive(secret))
    slices = [drawn[start : start + size] for start in range(0, len(drawn), size)]
    forget(drawn)
    return {column: (slices[2 * column], slices[2 * column + 1]) for column in range(features)}


def fold(filters: Words, bits: int, folds: int) -> Words:
    """XOR the upper onto the lower half, `folds` times: in the end all parts of `bits` bits.

    Args:
        filters: (rows, bits x 2^folds / 64) uint64, rounded up.

    Returns:
        (rows, bits / 64) uint64, rounded up.
    """
    if folds == 0:
        return filters
    rows, parts = len(filters), 1 << folds
    if bits % 64 == 0:
        halves: Words = filters.reshape(rows, parts, bits // 64)
        return cast(Words, np.bitwise_xor.reduce(halves, axis=1))
    raw = filters.astype("<u8", copy=False).view(np.uint8)
    flat = np.unpackbits(raw, axis=1, count=bits * parts, bitorder="little")
    folded = np.bitwise_xor.reduce(flat.reshape(rows, parts, bits), axis=1)
    padded = np.zeros((rows, -(-bits // 64) * 64), dtype=np.uint8)
    padded[:, :bits] = folded
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


class _EncodedFeature:
    """One feature: its keys, and what is known of its values and tokens."""

    def __init__(
        self,
        feature: Feature,
        keys: tuple[bytearray, bytearray],
        bits: int,
        *,
        none_is_empty: bool,
    ) -> None:
        self._keys = keys
        self._none_is_empty = none_is_empty
        self._words = -(-bits // 64)
        self._format = formatter(feature)
        self._strategy = feature.hashing.strategy
        self._cutter = cutter(feature)
        self._positions = positions(feature.hashing.hash, keys, bits)
        self._max_values = max(1024, MAX_FILTERS_BYTES // (8 * self._words))
        self._clear_values()

    def _clear_values(self) -> None:
        self._index = defaultdict[str | None, int](count().__next__)
        self._filters = np.zeros((1, self._words), dtype=np.uint64)
        if self._none_is_empty:
            self._index[None]  # becomes number 0, whose filter stays as it is
        self._wrong: dict[int, str] = {}

    def forget(self) -> None:
        """Overwrite keys and tables."""
        for key in self._keys:
            forget(key)
        self._positions.forget()
        self._filters[:] = 0
        self._clear_values()
        self._cutter.clear()

    def add_to(self, filters: Words, cells: Sequence[str | None]) -> list[tuple[int, str]]:
        """OR the filters of cells into those of their rows.

        Returns:
            The rows whose cell the format refuses, and why.
        """
        if len(self._index) > self._max_values:
            self._clear_values()
        if len(self._cutter) > MAX_TOKENS:
            self._cutter.clear()
            self._positions.clear()
        index = self._index
        known = len(index)
        numbers = np.fromiter(map(index.__getitem__, cells), np.int64, count=len(cells))
        if len(index) > known:
            self._learn(list(islice(index, known, None)), known)
        union_filters(self._filters, numbers, filters)
        if not self._wrong:
            return []
        bad = np.flatnonzero(np.isin(numbers, np.array(list(self._wrong))))
        return [(row, self._wrong[int(numbers[row])]) for row in bad.tolist()]

    def _learn(self, cells: list[str | None], known: int) -> None:
        """Make the filters of cells not met before, which get the numbers from `known` on."""
        texts, wrong = self._format(cells)
        numbers, offsets, unfit = self._cutter.cut(texts)
        self._wrong.update({known + i: why for i, why in (wrong | unfit).items()})
        draws = self._draws(offsets)
        needed = known + len(cells)
        if needed > len(self._filters):
            grown = np.zeros((max(needed, 2 * len(self._filters)), self._words), dtype=np.uint64)
            grown[:known] = self._filters[:known]
            self._filters = grown
        out = self._filters[known:needed]
        out[:] = 0
        self._positions.fill(self._cutter.tokens, numbers, draws, offsets, out)

    def _draws(self, offsets: Codes) -> Numbers:
        """How many positions each token of each value sets.

        Where a feature has a total, the first tokens of a value set one more if it does not
        divide.
        """
        counts = np.diff(offsets)
        if self._strategy.per_token is not None:
            return np.full(int(offsets[-1]), self._strategy.per_token, dtype=np.int32)
        total = cast(int, self._strategy.per_feature)
        share, rest = np.divmod(total, np.maximum(counts, 1))
        place = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1], counts)
        draws = np.repeat(share, counts) + (place < np.repeat(rest, counts))
        return draws.astype(np.int32)
