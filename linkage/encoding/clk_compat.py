"""`clk-v1` from a linkage schema: the filters clkhash 0.18.3 makes, bit for bit.

- A value is validated and formatted, cut into tokens and turned into a filter once, however often
  it stands in a column; so is a token. Both tables are bounded, and dropped when full.
- Keys are derived on construction and overwritten by `close`, as are the tables of tokens.
- The same on every platform: where clkhash follows the machine's byte order, the order is little.
- Nothing is normalised: what the schema's formats do not unify stays different.

    words = encode_clks(schema, [["1", "mary", "1976-07-04"]], secret)
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import cast

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numba import njit

from linkage.encoding.clk_schema import (
    KEYS_PER_FEATURE,
    BlakeHash,
    DateFormat,
    DoubleHash,
    EnumFormat,
    Exact,
    Feature,
    LinkageSchema,
    Ngrams,
    NumberFormat,
    Numeric,
    TextFormat,
)
from linkage.encoding.prf import forget
from linkage.encoding.tokens import Vocabulary
from linkage.errors import Problem, SourceError, StateError

BLOCK_ROWS = 16_384
MAX_PROBLEMS = 1000
MAX_FILTERS_BYTES = 1 << 24  # of one feature's values
MAX_TOKENS = 1 << 17  # of one feature
MAX_LENGTH = 1 << 20  # code points of a value

_SHORTS = 32  # positions in one BLAKE2b digest
_POINT_BITS, _NUMBER_BITS, _CODE_BITS = 21, 31, 63
_CODECS = {
    "ascii": (b"", "ascii"),
    "utf-8": (b"", "utf-8"),
    "utf-16": (b"\xff\xfe", "utf-16-le"),
    "utf-32": (b"\xff\xfe\0\0", "utf-32-le"),
}

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
    """Encodes under one linkage schema and secret. Not for use by two threads at once."""

    def __init__(self, schema: LinkageSchema, secret: bytes) -> None:
        self._schema = schema
        keys = _derive_keys(schema, secret)
        self._features = {
            column: _EncodedFeature(feature, keys[column], schema.filter_bits)
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
        """Encode columns of one length, one for each feature of the schema.

        Raises:
            SourceError: see `encode_clks`; the ignored features' cells are not looked at.
            StateError: the encoder is closed.
        """
        if self._closed:
            raise StateError("the encoder is closed")
        rows = len(columns[0])
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
    size, count = kdf.key_size, KEYS_PER_FEATURE * len(schema.features)
    algorithm = SHA256() if kdf.hash == "SHA256" else SHA512()
    hkdf = HKDF(algorithm, size * count, salt=kdf.salt_bytes or None, info=kdf.info_bytes)
    drawn = bytearray(hkdf.derive(secret))
    slices = [drawn[start : start + size] for start in range(0, len(drawn), size)]
    forget(drawn)
    return {column: (slices[2 * column], slices[2 * column + 1]) for column in range(count // 2)}


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

    def __init__(self, feature: Feature, keys: tuple[bytearray, bytearray], bits: int) -> None:
        self._keys = keys
        self._bits = bits
        self._words = -(-bits // 64)
        self._format = _formatter(feature)
        self._strategy = feature.hashing.strategy
        self._cutter = _CUTTERS[type(feature.hashing.comparison)](feature)
        how = feature.hashing.hash
        self._hash: _Blake | _Double = (
            _Blake(keys[0], bits) if isinstance(how, BlakeHash) else _Double(keys, bits, how)
        )
        self._max_values = max(1024, MAX_FILTERS_BYTES // (8 * self._words))
        self._clear_values()

    def _clear_values(self) -> None:
        self._index: dict[str, int] = {}
        self._filters = np.zeros((0, self._words), dtype=np.uint64)
        self._wrong: dict[int, str] = {}

    def forget(self) -> None:
        """Overwrite keys and tables."""
        for key in self._keys:
            forget(key)
        self._hash.forget()
        self._filters[:] = 0
        self._clear_values()
        self._cutter.clear()

    def add_to(self, filters: Words, cells: Sequence[str]) -> list[tuple[int, str]]:
        """OR the filters of cells into those of their rows.

        Returns:
            The rows whose cell the format refuses, and why.
        """
        if len(self._index) > self._max_values:
            self._clear_values()
        if len(self._cutter) > MAX_TOKENS:
            self._cutter.clear()
            self._hash.clear()
        index = self._index
        known = len(index)
        places = [index.setdefault(cell, len(index)) for cell in cells]
        if len(index) > known:
            self._learn(list(islice(index, known, None)), known)
        numbers = np.array(places, dtype=np.int64)
        union_filters(self._filters, numbers, filters)
        if not self._wrong:
            return []
        bad = np.flatnonzero(np.isin(numbers, np.array(list(self._wrong))))
        return [(row, self._wrong[places[row]]) for row in bad.tolist()]

    def _learn(self, cells: list[str], known: int) -> None:
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
        self._hash.fill(self._cutter, numbers, draws, offsets, out)

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


# Formats: from cells to what is cut into tokens, and what is wrong with which.

_Formatted = tuple[list[str], dict[int, str]]


def _formatter(feature: Feature) -> Callable[[list[str]], _Formatted]:
    """Validate cells and bring them into the form that is hashed."""
    one = _FORMATS[type(feature.format)](feature.format)
    missing = feature.hashing.missing
    codec = feature.format.encoding if isinstance(feature.format, TextFormat) else "utf-8"

    def formatted(cells: list[str]) -> _Formatted:
        texts: list[str] = []
        wrong: dict[int, str] = {}
        for i, cell in enumerate(cells):
            text = ""
            try:
                if missing is not None and cell == missing.sentinel:
                    text = missing.replacement
                elif not isinstance(cell, str):
                    wrong[i] = "is not text"
                else:
                    text = one(cell)
            except _RefusedError as error:
                wrong[i] = error.args[0]
            texts.append(text)
        if not _can_encode("".join(texts), codec):
            for i, text in enumerate(texts):
                if not _can_encode(text, codec):
                    wrong[i], texts[i] = f"cannot be written in {codec}", ""
        return texts, wrong

    return formatted


class _RefusedError(Exception):
    pass


def _can_encode(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _text_format(settings: TextFormat) -> Callable[[str], str]:
    if settings.pattern is not None:
        match = re.compile(settings.pattern).fullmatch

        def patterned(cell: str) -> str:
            if match(cell) is None:
                raise _RefusedError("does not match the pattern")
            return cell

        return patterned
    shortest, longest, case = settings.min_length, settings.max_length, settings.case

    def plain(cell: str) -> str:
        if not shortest <= len(cell) <= longest:
            raise _RefusedError("is too short" if len(cell) < shortest else "is too long")
        if case == "upper" and cell.upper() != cell:
            raise _RefusedError("is not in upper case")
        if case == "lower" and cell.lower() != cell:
            raise _RefusedError("is not in lower case")
        return cell

    return plain


def _number_format(settings: NumberFormat) -> Callable[[str], str]:
    low, high = settings.minimum, settings.maximum

    def number(cell: str) -> str:
        try:
            value = int(cell)
            text = str(value)
        except ValueError:
            raise _RefusedError("is not a whole number") from None
        if low is not None and value < low:
            raise _RefusedError("is below the minimum")
        if high is not None and value > high:
            raise _RefusedError("is above the maximum")
        return text

    return number


def _date_format(settings: DateFormat) -> Callable[[str], str]:
    declared = settings.format

    def date(cell: str) -> str:
        try:
            return datetime.strptime(cell, declared).strftime("%Y%m%d")
        except (ValueError, re.error):
            raise _RefusedError("is not a date in the declared format") from None

    return date


def _enum_format(settings: EnumFormat) -> Callable[[str], str]:
    values = frozenset(settings.values)

    def member(cell: str) -> str:
        if cell not in values:
            raise _RefusedError("is not one of the declared values")
        return cell

    return member


_FORMATS: dict[type, Callable[..., Callable[[str], str]]] = {
    TextFormat: _text_format,
    NumberFormat: _number_format,
    DateFormat: _date_format,
    EnumFormat: _enum_format,
}


# Comparisons: from texts to numbered tokens.

_Cut = tuple[Numbers, Codes, dict[int, str]]


class _NgramCutter:
    """N-grams of a text between n - 1 blanks on either side, with their places if positional.

    Inside, a token is an int64 numbered by a `Vocabulary`: up to three code points side by side,
    then the number of those before and one more. Only a new token is ever made into text.
    """

    def __init__(self, feature: Feature) -> None:
        settings = cast(Ngrams, feature.hashing.comparison)
        self._n, self._positional = settings.n, settings.positional
        self._start, self._codec = _codec_of(feature)
        self.clear()

    def __len__(self) -> int:
        return len(self.tokens)

    def clear(self) -> None:
        self.tokens: list[bytes] = []
        self._vocabularies: list[Vocabulary] = []

    def cut(self, texts: list[str]) -> _Cut:
        """Tokens' numbers in the order of the texts, where each text's begin, and refused texts."""
        unfit = {i: "is too long" for i, text in enumerate(texts) if len(text) > MAX_LENGTH}
        for i in unfit:
            texts[i] = ""
        n, pad = self._n, " " * (self._n - 1)
        lengths = np.fromiter(map(len, texts), np.int64, count=len(texts))
        run = "".join([f"{pad}{text}{pad}" for text in texts if text])
        points = np.frombuffer(run.encode("utf-32-le"), dtype="<u4").astype(np.int64)
        counts = np.where(lengths > 0, lengths + n - 1, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        place = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1], counts)
        # A padded text is n - 1 longer than it has n-grams.
        before: Codes = np.cumsum(lengths > 0) - (lengths > 0)
        starts = np.repeat(offsets[:-1] + before * (n - 1), counts) + place
        numbers = self._number(points, starts, place)
        fresh = numbers >= len(self.tokens)
        if fresh.any():
            where = np.empty(len(self._last()) - len(self.tokens), dtype=np.int64)
            where[numbers[fresh] - len(self.tokens)] = np.flatnonzero(fresh)
            self._name(run, starts[where].tolist(), place[where].tolist())
        return numbers, offsets, unfit

    def _last(self) -> Vocabulary:
        return self._vocabularies[-1]

    def _number(self, points: Codes, starts: Codes, place: Codes) -> Numbers:
        if not self._vocabularies:
            steps = self._n + self._positional
            self._vocabularies = [Vocabulary() for _ in range(steps)]
        vocabularies = iter(self._vocabularies[:-1])
        codes, used = points[starts], _POINT_BITS
        more = [points[starts + i] for i in range(1, self._n)]
        for part in [*more, place] if self._positional else more:
            if used + _POINT_BITS > _CODE_BITS:
                codes, used = next(vocabularies).number(codes).astype(np.int64), _NUMBER_BITS
            codes, used = codes << _POINT_BITS | part, used + _POINT_BITS
        return self._last().number(codes)

    def _name(self, run: str, starts: list[int], places: list[int]) -> None:
        n, mark, codec = self._n, self._start, self._codec
        if self._positional:
            grams = [f"{p + 1} {run[s : s + n]}" for s, p in zip(starts, places, strict=True)]
        else:
            grams = [run[s : s + n] for s in starts]
        self.tokens += [mark + gram.encode(codec) for gram in grams]


class _WholeCutter:
    """A text that is not empty is its own only token."""

    def __init__(self, feature: Feature) -> None:
        self._start, self._codec = _codec_of(feature)
        self.clear()

    def __len__(self) -> int:
        return len(self.tokens)

    def clear(self) -> None:
        self.tokens: list[bytes] = []
        self._index: dict[str, int] = {}

    def cut(self, texts: list[str]) -> _Cut:
        lists = [[text] if text else [] for text in texts]
        return *self._numbered(lists), {}

    def _numbered(self, lists: list[list[str]]) -> tuple[Numbers, Codes]:
        index = self._index
        numbers = [index.setdefault(text, len(index)) for texts in lists for text in texts]
        new = islice(index, len(self.tokens), None)
        self.tokens += [self._start + text.encode(self._codec) for text in new]
        counts = np.fromiter(map(len, lists), np.int64, count=len(lists))
        return np.array(numbers, dtype=np.int32), np.concatenate([[0], np.cumsum(counts)])


class _NumericCutter(_WholeCutter):
    """A number is moved onto a grid, and its token and those of its neighbours are whole numbers.

    Whole numbers are not read as floats, so that they keep all of their digits.
    """

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        settings = cast(Numeric, feature.hashing.comparison)
        self._interval, self._resolution = settings.interval, settings.resolution
        self._scale: int = 10**settings.fractional_precision
        self._fractions = settings.fractional_precision > 0

    def cut(self, texts: list[str]) -> _Cut:
        lists: list[list[str]] = []
        unfit = {}
        for i, text in enumerate(texts):
            try:
                lists.append(self._neighbours(text) if text else [])
            except (ValueError, OverflowError):
                lists.append([])
                unfit[i] = "is not a number"
        return *self._numbered(lists), unfit

    def _neighbours(self, text: str) -> list[str]:
        try:
            value = int(text) * self._scale
        except ValueError:
            # Towards zero without fractions, to the nearest with them.
            read = float(text)
            value = round(read * self._scale) if self._fractions else int(read)
        value *= 2 * self._resolution
        rest = value % self._interval
        value -= rest
        if rest and not rest < self._interval / 2:
            value += self._interval
        reach = range(-self._resolution, self._resolution + 1)
        return [str(value + i * self._interval) for i in reach]


_Cutter = _NgramCutter | _WholeCutter
_CUTTERS: dict[type, Callable[[Feature], _Cutter]] = {
    Ngrams: _NgramCutter,
    Exact: _WholeCutter,
    Numeric: _NumericCutter,
}


def _codec_of(feature: Feature) -> tuple[bytes, str]:
    """What every token begins with, and the codec of the rest."""
    named = feature.format.encoding if isinstance(feature.format, TextFormat) else "utf-8"
    return _CODECS[named]


# Hashes: from tokens to positions.


@dataclass
class _Blake:
    """Positions are the 16-bit pieces of BLAKE2b(token, key, salt = "0", "1", ...) modulo bits.

    A token's pieces are kept as far as they were ever needed; where more are needed later they
    are made anew behind all others.
    """

    key: bytearray
    bits: int
    drawn: Numbers = field(default_factory=lambda: np.zeros(0, np.int32))
    at: Codes = field(default_factory=lambda: np.zeros(0, np.int64))
    pieces: npt.NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, np.uint16))
    used: int = 0

    def clear(self) -> None:
        self.drawn, self.at = np.zeros(0, np.int32), np.zeros(0, np.int64)
        self.used = 0

    def forget(self) -> None:
        self.pieces[:] = 0
        self.clear()

    def fill(
        self, cutter: _Cutter, numbers: Numbers, draws: Numbers, offsets: Codes, out: Words
    ) -> None:
        """Set the positions of each value's tokens in its row of `out`."""
        tokens = cutter.tokens
        grown = len(tokens) - len(self.drawn)
        self.drawn = np.concatenate([self.drawn, np.zeros(grown, np.int32)])
        self.at = np.concatenate([self.at, np.zeros(grown, np.int64)])
        needed = np.zeros(len(tokens), dtype=np.int32)
        np.maximum.at(needed, numbers, draws)
        short = np.flatnonzero(needed > self.drawn)
        self._draw(tokens, short, -(-needed[short].astype(np.int64) // _SHORTS))
        mask = np.uint64(self.bits - 1)
        set_pieces(self.pieces, self.at, numbers, draws, offsets, mask, out)

    def _draw(self, tokens: list[bytes], which: Codes, macs: Codes) -> None:
        key, hashed = bytes(self.key), hashlib.blake2b
        salts = [str(i).encode() for i in range(int(macs.max(initial=0)))]
        raw = b"".join(
            [
                hashed(tokens[i], key=key, salt=salts[s]).digest()
                for i, count in zip(which.tolist(), macs.tolist(), strict=True)
                for s in range(count)
            ]
        )
        made = np.frombuffer(raw, dtype="<u2")
        if self.used + len(made) > len(self.pieces):
            grown = np.zeros(max(2 * len(self.pieces), self.used + len(made)), dtype=np.uint16)
            grown[: self.used] = self.pieces[: self.used]
            self.pieces = grown
        self.pieces[self.used : self.used + len(made)] = made
        self.drawn[which] = macs * _SHORTS
        self.at[which] = self.used + (np.cumsum(macs) - macs) * _SHORTS
        self.used += len(made)


class _Double:
    """Position i is (HMAC-SHA1(token) + i x HMAC-MD5(token)) modulo bits, both big-endian.

    With `prevent_singularity` a step of 0 is replaced by HMAC-MD5 of the token and a character
    U+0000, U+0001, ... until it is not 0.
    """

    def __init__(self, keys: tuple[bytearray, bytearray], bits: int, how: DoubleHash) -> None:
        self._keys = keys
        self._bits = bits
        self._singular = not how.prevent_singularity
        self.clear()

    def clear(self) -> None:
        self._starts = np.zeros(0, dtype=np.int64)
        self._steps = np.zeros(0, dtype=np.int64)

    def forget(self) -> None:
        self._starts[:] = 0
        self._steps[:] = 0
        self.clear()

    def fill(
        self, cutter: _Cutter, numbers: Numbers, draws: Numbers, offsets: Codes, out: Words
    ) -> None:
        """Set the positions of each value's tokens in its row of `out`."""
        new = cutter.tokens[len(self._starts) :]
        starts, steps = (bytes(key) for key in self._keys)
        first = self._residues([hmac.digest(starts, token, "sha1") for token in new], 5)
        second = self._residues([hmac.digest(steps, token, "md5") for token in new], 4)
        if not self._singular:
            for i in np.flatnonzero(second == 0).tolist():
                second[i] = self._step(steps, new[i])
        self._starts = np.concatenate([self._starts, first])
        self._steps = np.concatenate([self._steps, second])
        set_steps(self._starts, self._steps, numbers, draws, offsets, self._bits, out)

    def _residues(self, digests: list[bytes], parts: int) -> Codes:
        words = np.frombuffer(b"".join(digests), dtype=">u4").reshape(len(digests), parts)
        rest = np.zeros(len(digests), dtype=np.int64)
        for part in words.T.astype(np.int64):
            rest = (rest << 32 | part) % self._bits
        return rest

    def _step(self, key: bytes, token: bytes) -> int:
        step = i = 0
        while step == 0:
            digest = hmac.digest(key, token + chr(i).encode(), "md5")
            step = int.from_bytes(digest, "big") % self._bits
            i += 1
        return step


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def set_pieces(
    pieces: npt.NDArray[np.uint16],
    at: Codes,
    numbers: Numbers,
    draws: Numbers,
    offsets: Codes,
    mask: np.uint64,
    out: Words,
) -> None:
    """Set in row v of `out` the first draws[i] pieces of token numbers[i], for all of v's i."""
    for value in range(len(out)):
        for i in range(offsets[value], offsets[value + 1]):
            start = at[numbers[i]]
            for piece in range(start, start + draws[i]):
                position = np.uint64(pieces[piece]) & mask
                out[value, position >> np.uint64(6)] |= np.uint64(1) << (position & np.uint64(63))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def set_steps(
    starts: Codes,
    steps: Codes,
    numbers: Numbers,
    draws: Numbers,
    offsets: Codes,
    bits: int,
    out: Words,
) -> None:
    """Set in row v of `out` draws[i] positions, one step from another, of each token of v."""
    for value in range(len(out)):
        for i in range(offsets[value], offsets[value + 1]):
            position, step = starts[numbers[i]], steps[numbers[i]]
            for _ in range(draws[i]):
                out[value, position >> 6] |= np.uint64(1) << np.uint64(position & 63)
                position += step
                if position >= bits:
                    position -= bits


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def union_filters(filters: Words, numbers: Codes, out: Words) -> None:
    """OR row numbers[r] of `filters` into row r of `out`."""
    for row in range(len(out)):
        number = numbers[row]
        for w in range(out.shape[1]):
            out[row, w] |= filters[number, w]
