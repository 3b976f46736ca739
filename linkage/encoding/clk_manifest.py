"""A manifest's linkage schema at work: read a partner's cells by it, and make their filters.

- The secret that clkhash would be given is derived from the project secret, so that a partner
  can hand it to clkhash and find the same filters; the project secret itself stays here.
- A cell is taken as it stands. What gives no token, such as an empty text, is None.
- A filter that is all zeros or all ones says nothing of its record: the record then counts as
  having none. No bit of any other filter is altered.

    column = read_feature(schema.encoded[1], ["mary", ""])     # values: "mary", None
    with SchemaFilters(manifest, clk_secret(manifest, secret, epoch=1)) as filters:
        presence, words = filters.encode({"name": column.values})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

import numpy as np
import numpy.typing as npt

from linkage.agreement import Clk, Manifest
from linkage.agreement.canonical import canonical, fingerprint
from linkage.agreement.linkage_features import DateFormat, Feature
from linkage.agreement.linkage_schema import LinkageSchema
from linkage.encoding.clk_compat import ClkEncoder
from linkage.encoding.clk_formats import expected, formatter
from linkage.encoding.clk_tokens import unfit
from linkage.encoding.dates import DEFAULT_DATE_FORMATS
from linkage.encoding.normalise import NormalisedColumn
from linkage.encoding.prf import derive_key, forget
from linkage.errors import InputError

Objects = npt.NDArray[np.object_]
_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def schema_of(manifest: Manifest) -> tuple[Clk, LinkageSchema]:
    """The scheme and its linkage schema.

    Raises:
        InputError: the manifest holds none.
    """
    scheme, schema = manifest.scheme, manifest.linkage_schema
    if not isinstance(scheme, Clk) or schema is None:
        raise InputError(
            f"the manifest of project {manifest.project!r} holds no linkage schema",
            remedy="Only the scheme clk-v1 with a linkage_schema has CLKs to exchange",
        )
    return scheme, schema


def encoded_features(manifest: Manifest) -> dict[str, tuple[int, Feature]]:
    """By field: the place of its feature in the schema, and the feature."""
    scheme, schema = schema_of(manifest)
    by_identifier = {f.identifier: (place, f) for place, f in schema.encoded.items()}
    (key,) = manifest.match_keys
    return {field: by_identifier[scheme.feature_of(field)] for field in key.fields}


def clk_secret(manifest: Manifest, secret: bytes, epoch: int) -> bytearray:
    """What clkhash is to be given as its secret: 64 hexadecimal digits, as ASCII text.

    HKDF-SHA256 of the project secret; see docs/reference/clk-v1.md.
    """
    scheme, _ = schema_of(manifest)
    key = derive_key(
        secret,
        scheme=scheme.name,
        parameters=f"schema={fingerprint(canonical(scheme.linkage_schema))},folds={scheme.folds}",
        project=manifest.project,
        epoch=epoch,
        match_key=manifest.match_keys[0].name,
        namespace="clkhash",
    )
    text = bytearray(key.hex().encode())
    forget(key)
    return text


def read_feature(feature: Feature, cells: Sequence[str | None]) -> NormalisedColumn:
    """Read a column as the schema says.

    Args:
        cells: None is an empty cell.

    Returns:
        The cells as they stand, None for those that give no token; the rows that the schema's
        format refuses.
    """
    index: dict[str, int] = {}
    codes = np.fromiter(
        (index.setdefault(cell or "", len(index)) for cell in cells), np.int64, count=len(cells)
    )
    distinct = list(index)
    texts, wrong = formatter(feature)(distinct)
    wrong |= unfit(feature, texts)
    values = np.array([None, *distinct], dtype=np.object_)[1:]
    values[[not text or place in wrong for place, text in enumerate(texts)]] = None
    bad = np.zeros(len(distinct), dtype=np.bool_)
    bad[list(wrong)] = True
    missing = feature.hashing.missing
    sentinel = index.get(missing.sentinel, -1) if missing is not None and missing.sentinel else -1
    return NormalisedColumn(
        values[codes],
        np.flatnonzero(bad[codes]).astype(np.int64),
        expected(feature),
        int((codes == sentinel).sum()),
    )


def says_of_type(feature: Feature) -> tuple[Sequence[str], tuple[str, ...]]:
    """What a feature says of its cells that a field's type needs to know as well.

    Returns:
        strptime formats of a date, and the cells that mean "not known".
    """
    form, missing = feature.format, feature.hashing.missing
    formats = (form.format,) if isinstance(form, DateFormat) else DEFAULT_DATE_FORMATS
    return formats, () if missing is None else (missing.sentinel,)


class SchemaFilters:
    """Makes filters by a manifest's linkage schema. Not for use by two threads at once.

    Args:
        secret: what clkhash would be given, as bytes.
    """

    def __init__(self, manifest: Manifest, secret: bytes | bytearray) -> None:
        _, schema = schema_of(manifest)
        self._places = {name: place for name, (place, _) in encoded_features(manifest).items()}
        self._encoder = ClkEncoder(schema, bytes(secret), none_is_empty=True)

    def __enter__(self) -> SchemaFilters:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Overwrite keys and tables; see `ClkEncoder.close`."""
        self._encoder.close()

    def encode(
        self, columns: Mapping[str, Objects]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint64]]:
        """Make filters of columns as `read_feature` gives them, without those that say nothing.

        Returns:
            (1, rows) presence and (1, rows, bits / 64) words.

        Raises:
            SourceError: a cell is not as the schema says.
            StateError: closed.
        """
        words = self.all_filters(columns)
        presence = informative(words)
        words[~presence] = 0
        return presence[None], words[None]

    def all_filters(self, columns: Mapping[str, Objects]) -> npt.NDArray[np.uint64]:
        """Every record's filter as clkhash makes it, (rows, bits / 64); see `encode`."""
        return self._encoder.encode_places(
            {place: columns[name].tolist() for name, place in self._places.items()}
        )


def informative(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which filters, (rows, words), are neither all zeros nor all ones."""
    found: npt.NDArray[np.bool_] = words.any(axis=1) & (words != _ONES).any(axis=1)
    return found
