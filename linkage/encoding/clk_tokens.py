"""Cut the texts of a linkage schema's features into tokens, as clkhash compares them.

- Tokens are numbered as they are first met, and made into bytes only then.
- The order of a text's tokens counts: with `bitsPerFeature` the first ones may set one position
  more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import cast

import numpy as np
import numpy.typing as npt

from linkage.agreement.linkage_features import Exact, Feature, Ngrams, Numeric
from linkage.encoding.clk_formats import codec_of
from linkage.encoding.tokens import Vocabulary

MAX_LENGTH = 1 << 20  # code points of a text cut into n-grams

_POINT_BITS, _NUMBER_BITS, _CODE_BITS = 21, 31, 63
# What a token begins with, and the codec of the rest: as on a little-endian machine.
_CODECS = {
    "ascii": (b"", "ascii"),
    "utf-8": (b"", "utf-8"),
    "utf-16": (b"\xff\xfe", "utf-16-le"),
    "utf-32": (b"\xff\xfe\0\0", "utf-32-le"),
}

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]

Cut = tuple[Numbers, Codes, dict[int, str]]


class _NgramCutter:
    """N-grams of a text between n - 1 blanks on either side, with their places if positional.

    Inside, a token is an int64 numbered by a `Vocabulary`: up to three code points side by side,
    then the number of those before and one more. Only a new token is ever made into text.
    """

    def __init__(self, feature: Feature) -> None:
        settings = cast(Ngrams, feature.hashing.comparison)
        self._n, self._positional = settings.n, settings.positional
        self._start, self._codec = _CODECS[codec_of(feature)]
        self.clear()

    def __len__(self) -> int:
        return len(self.tokens)

    def clear(self) -> None:
        self.tokens: list[bytes] = []
        self._vocabularies: list[Vocabulary] = []

    def cut(self, texts: list[str]) -> Cut:
        """Tokens' numbers in the order of the texts, where each text's begin, and refused texts."""
        n, pad = self._n, " " * (self._n - 1)
        lengths = np.fromiter(map(len, texts), np.int64, count=len(texts))
        unfit = dict.fromkeys(np.flatnonzero(lengths > MAX_LENGTH).tolist(), "is too long")
        for i in unfit:
            texts[i], lengths[i] = "", 0
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

    def problem(self, text: str) -> str | None:
        """What makes a text unfit to be cut."""
        return "is too long" if len(text) > MAX_LENGTH else None

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
        self._start, self._codec = _CODECS[codec_of(feature)]
        self.clear()

    def __len__(self) -> int:
        return len(self.tokens)

    def clear(self) -> None:
        self.tokens: list[bytes] = []
        self._index = defaultdict[str, int](count().__next__)

    def cut(self, texts: list[str]) -> Cut:
        lists = [[text] if text else [] for text in texts]
        return *self._numbered(lists), {}

    def problem(self, text: str) -> str | None:
        """What makes a text unfit to be cut: nothing does."""
        return None

    def _numbered(self, lists: list[list[str]]) -> tuple[Numbers, Codes]:
        index = self._index
        numbers = np.array([index[text] for texts in lists for text in texts], dtype=np.int32)
        new = islice(index, len(self.tokens), None)
        self.tokens += [self._start + text.encode(self._codec) for text in new]
        counts = np.fromiter(map(len, lists), np.int64, count=len(lists))
        return numbers, np.concatenate([[0], np.cumsum(counts)])


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

    def cut(self, texts: list[str]) -> Cut:
        lists: list[list[str]] = []
        unfit = {}
        for i, text in enumerate(texts):
            try:
                lists.append(self._neighbours(text) if text else [])
            except (ValueError, OverflowError):
                lists.append([])
                unfit[i] = "is not a number"
        return *self._numbered(lists), unfit

    def problem(self, text: str) -> str | None:
        try:
            self._centre(text)
        except (ValueError, OverflowError):
            return "is not a number"
        return None

    def _neighbours(self, text: str) -> list[str]:
        centre, reach = self._centre(text), range(-self._resolution, self._resolution + 1)
        return [str(centre + i * self._interval) for i in reach]

    def _centre(self, text: str) -> int:
        """The text's own place on the grid.

        Raises:
            ValueError, OverflowError: it is no number.
        """
        try:
            value = int(text) * self._scale
        except ValueError:
            # Towards zero without fractions, to the nearest with them.
            read = float(text)
            value = round(read * self._scale) if self._fractions else int(read)
        value *= 2 * self._resolution
        rest = value % self._interval
        value -= rest
        return value + self._interval if rest and not rest < self._interval / 2 else value


Cutter = _NgramCutter | _WholeCutter
_CUTTERS: dict[type, Callable[[Feature], Cutter]] = {
    Ngrams: _NgramCutter,
    Exact: _WholeCutter,
    Numeric: _NumericCutter,
}


def cutter(feature: Feature) -> Cutter:
    """What cuts a feature's texts into tokens."""
    return _CUTTERS[type(feature.hashing.comparison)](feature)


def unfit(feature: Feature, texts: Sequence[str]) -> dict[int, str]:
    """Which texts the feature's comparison refuses, and why, by place."""
    problem = cutter(feature).problem
    return {i: why for i, text in enumerate(texts) if text and (why := problem(text))}
