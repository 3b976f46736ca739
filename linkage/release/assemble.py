"""Join the partners' parcels under study ids, and say what every column is.

- Content rows come in under per-source index ids and go out under study ids that are theirs
  alone; index ids do not reach the output.
- Rows are ordered by study id and then by their own cells: neither the order of a partner's
  file nor that of its index ids can be read off.
- A parcel that the agreed transforms cannot have made, or that names an index id the release
  does not know, stops the assembly.

    assembled = assemble(manifest, tables, study_ids)
    assembled.tables["hospital_visits"]     # study_id, then the agreed fields
    assembled.people                        # study_id, in_<partner> ..., n_partners
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linkage.agreement import ContentTable, Manifest, Partner, Transform
from linkage.errors import InvalidRequestError, ManifestError, NotReadyError
from linkage.release.coarsen import BAND_YEARS, SEVERAL, output_type
from linkage.release.days import Days, Shifts, hide, relative_days
from linkage.release.deidentify import (
    INDEX_ID,
    STUDY_ID,
    check_deidentified,
    sort_rows,
)
from linkage.release.pseudonyms import ID_BYTES, to_hex
from linkage.release.race import SEPARATOR

PEOPLE = "people"

# 16-byte ids as fixed-width byte strings: they sort, and compare, byte by byte.
Ids = npt.NDArray[np.bytes_]
_ID = np.dtype("S16")
Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Assembled:
    """What an extract is made of.

    Attributes:
        people: one row per study id: `study_id`, `in_<partner>` for each, `n_partners`.
        tables: content tables by name, `<partner>_<table>`; `study_id` first, where the rows are
            about persons.
        counted_only: tables of which no row may leave, for counts alone.
    """

    people: pa.Table
    tables: dict[str, pa.Table]
    counted_only: dict[str, pa.Table] = dataclasses.field(default_factory=dict)

    @property
    def named(self) -> dict[str, pa.Table]:
        """Every table by name, `people` among them, in order of name."""
        return dict(sorted({**self.tables, PEOPLE: self.people}.items()))


def assemble(
    manifest: Manifest,
    tables: Mapping[tuple[str, str], pa.Table],
    study_ids: Mapping[str, Mapping[bytes, bytes]],
    day_shifts: Mapping[str, Mapping[bytes, int]] | None = None,
    *,
    recipient: str | None = None,
) -> Assembled:
    """Join parcels through the one-time map.

    Args:
        tables: by (partner, content table); `index_id` first where the rows are about persons,
            then the agreed fields.
        study_ids: per partner, index id → study id, both 16 bytes; every row of the
            partner's upload, linked or not.
        day_shifts: per partner, index id → what is added to hidden days; needed where there are
            any.
        recipient: for whom; only fields that it may have come out. None takes every field.

    Raises:
        NotReadyError: a parcel the manifest provides for is not there.
        InvalidRequestError: a parcel or the map is not what the release allows.
        ManifestError: two content tables would have the same name.
    """
    names = table_names(manifest)
    _require_parcels(manifest, names, tables)
    maps = {p.name: _IdMap.of(p, study_ids, day_shifts or {}) for p in manifest.partners}
    studies = np.unique(np.concatenate([ids.study for ids in maps.values()]))
    texts = pa.array(to_hex(studies.view(np.uint8).reshape(-1, ID_BYTES)), pa.string())
    numbers = {name: np.searchsorted(studies, ids.study) for name, ids in maps.items()}
    joined, hidden = {}, _Hidden(len(studies))
    for (owner, table), name in names.items():
        content = _content(manifest.partner(owner), table)
        if not content.is_personal:
            check_deidentified(content, tables[owner, table], source=_source(owner, table))
            if allowed_fields(content, recipient):
                joined[name] = _allowed(content, tables[owner, table], recipient)
            continue
        places = _join(owner, content, tables[owner, table], maps[owner])
        person = numbers[owner][places]
        fields = tables[owner, table].drop_columns([INDEX_ID])
        if not _for_nobody(content):
            fields = _allowed(content, tables[owner, table], recipient)
        if not fields.num_columns:
            continue
        hidden.add(name, content, fields, person, maps[owner].shift_at(places))
        people = texts.take(pa.array(person))
        joined[name] = fields.add_column(0, pa.field(STUDY_ID, pa.string()), people)
    found = {name: _plain(table) for name, table in hidden.shown(joined).items()}
    withheld = {names[p.name, t.name] for p, t in _contents(manifest) if _for_nobody(t)}
    withheld = withheld if recipient is not None else set()
    return Assembled(
        _people(manifest, texts, numbers),
        {name: table for name, table in sorted(found.items()) if name not in withheld},
        {name: table for name, table in sorted(found.items()) if name in withheld},
    )


def _for_nobody(table: ContentTable) -> bool:
    """Whether no recipient may have a row: such a table is counted only (aggregate-only)."""
    return table.is_personal and all(field.recipients == () for field in table.fields)


class _Hidden:
    """The days of all tables, to be counted from each person's first one."""

    def __init__(self, people: int) -> None:
        self._people = people
        self._places: list[tuple[str, str]] = []
        self._columns: list[tuple[Places, npt.NDArray[np.bool_], Days]] = []

    def add(
        self, name: str, content: ContentTable, table: pa.Table, person: Places, shifts: Shifts
    ) -> None:
        for field in content.fields:
            if field.transform is not Transform.DAY or field.name not in table.column_names:
                continue
            column = table[field.name].combine_chunks()
            if len(shifts) != len(column):
                raise InvalidRequestError(f"the day shifts for table {name!r} are missing")
            known = column.is_valid().to_numpy(zero_copy_only=False)
            days = column.fill_null(0).to_numpy(zero_copy_only=False)
            self._places.append((name, field.name))
            self._columns.append((person, known, hide(days, shifts)))

    def shown(self, tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        """The tables with days counted from the first one."""
        names = [f"table {table!r}, column {column!r}" for table, column in self._places]
        counted = relative_days(self._columns, self._people, names=names)
        found = dict(tables)
        for (name, column), (_, known, _), days in zip(
            self._places, self._columns, counted, strict=True
        ):
            place = found[name].column_names.index(column)
            array = pa.array(days, pa.int32(), mask=~known)
            found[name] = found[name].set_column(place, pa.field(column, pa.int32()), array)
        return found


def allowed_fields(table: ContentTable, recipient: str | None) -> list[str]:
    """The fields of a table that a recipient may have; all for None."""
    return [
        field.name
        for field in table.fields
        if recipient is None or field.recipients is None or recipient in field.recipients
    ]


def _allowed(content: ContentTable, parcel: pa.Table, recipient: str | None) -> pa.Table:
    return parcel.select(allowed_fields(content, recipient))


def table_names(manifest: Manifest) -> dict[tuple[str, str], str]:
    """The extract's name of each content table, by (partner, table).

    Raises:
        ManifestError: two tables would have the same name.
    """
    names: dict[tuple[str, str], str] = {}
    for partner, table in _contents(manifest):
        name = f"{partner.name}_{table.name}"
        if name in names.values():
            raise ManifestError(f"two content tables would both be called {name!r}")
        names[partner.name, table.name] = name
    return names


def dictionary(manifest: Manifest, recipient: str | None = None) -> dict[str, Any]:
    """The data dictionary: one entry per column of the extract, as plain JSON values.

    Args:
        recipient: whose extract; None describes every field.
    """
    names = table_names(manifest)
    columns = [
        _entry(PEOPLE, STUDY_ID, "string", "A person, as far as linkage can tell; random"),
        *(
            _entry(PEOPLE, f"in_{name}", "bool", f"Whether {name} holds a record of the person")
            for name in manifest.partner_names
        ),
        _entry(PEOPLE, "n_partners", "int16", "How many partners hold a record of the person"),
    ]
    for partner, table in _contents(manifest):
        name = names[partner.name, table.name]
        source = {"partner": partner.name, "kind": table.kind}
        allowed = allowed_fields(table, recipient)
        if not allowed:
            continue
        if table.is_personal:
            columns.append(_entry(name, STUDY_ID, "string", "The person in `people`", **source))
        for field in table.fields:
            if field.name not in allowed:
                continue
            extra: dict[str, Any] = dict(source)
            if field.values is not None:
                extra["values"] = list(field.values)
                if field.means == SEVERAL:
                    extra["separator"] = SEPARATOR
            if field.lookup is not None:
                extra["lookup"] = field.lookup.name
                if "values" in extra and field.transform is Transform.CROSSWALK:
                    extra["values"].append(field.lookup.unmapped)
            if field.transform is Transform.AGE_BAND and field.reference:
                extra["reference"] = field.reference.isoformat()
                extra["band_years"] = BAND_YEARS
            columns.append(
                _entry(
                    name,
                    field.name,
                    str(output_type(field)),
                    field.description,
                    transform=field.transform.value,
                    means=field.means,
                    recipients=None if field.recipients is None else list(field.recipients),
                    **extra,
                )
            )
    return {
        "linkage": "dictionary/1",
        "project": manifest.project,
        "manifest": manifest.fingerprint,
        "columns": columns,
    }


def _entry(table: str, column: str, dtype: str, description: str, **more: Any) -> dict[str, Any]:
    return {
        "table": table,
        "column": column,
        "type": dtype,
        "description": description,
        "transform": None,
        "partner": None,
        "kind": None,
        "means": None,
        "recipients": None,
        **more,
    }


def _contents(manifest: Manifest) -> Iterator[tuple[Partner, ContentTable]]:
    for partner in manifest.partners:
        for table in partner.content:
            yield partner, table


def _content(partner: Partner, name: str) -> ContentTable:
    return next(table for table in partner.content if table.name == name)


def _require_parcels(
    manifest: Manifest,
    names: Mapping[tuple[str, str], str],
    tables: Mapping[tuple[str, str], pa.Table],
) -> None:
    unknown = sorted(set(tables) - set(names))
    if unknown:
        owner, table = unknown[0]
        raise InvalidRequestError(
            f"the manifest of project {manifest.project!r} has no table {table!r} of {owner!r}"
        )
    waiting = [f"{table!r} of {owner!r}" for owner, table in names if (owner, table) not in tables]
    if waiting:
        raise NotReadyError(f"parcels not there yet: {', '.join(waiting)}")


@dataclass(frozen=True)
class _IdMap:
    """One partner's map, in the order of `index`; `shift` is empty where none came."""

    index: Ids
    study: Ids
    shift: Shifts

    @classmethod
    def of(
        cls,
        partner: Partner,
        study_ids: Mapping[str, Mapping[bytes, bytes]],
        day_shifts: Mapping[str, Mapping[bytes, int]],
    ) -> _IdMap:
        source = f"the study ids of {partner.name!r}"
        if partner.name not in study_ids:
            raise InvalidRequestError(f"{source} are missing")
        ids = study_ids[partner.name]
        index, study = _ids(source, ids.keys()), _ids(source, ids.values())
        # Rows of one group are one person though the file is otherwise unique.
        once = partner.unique and partner.group is None
        if once and len(np.unique(study)) != len(study):
            raise InvalidRequestError(
                f"{source}: a person stands there twice, though the partner's file was agreed"
                " to hold each person once"
            )
        order = np.argsort(index)
        drawn = day_shifts.get(partner.name)
        if drawn is None:
            shift = np.empty(0, np.uint32)
        elif drawn.keys() != ids.keys():
            raise InvalidRequestError(f"{source} and its day shifts are not for the same rows")
        else:
            shift = np.array([drawn[key] for key in ids], np.uint32)[order]
        return cls(index[order], study[order], shift)

    def shift_at(self, places: Places) -> Shifts:
        return self.shift[places] if len(self.shift) else self.shift


def _ids(source: str, values: Iterable[bytes]) -> Ids:
    found = list(values)
    if any(len(value) != ID_BYTES for value in found):
        raise InvalidRequestError(f"{source}: an id is not {ID_BYTES} bytes long")
    return np.frombuffer(b"".join(found), _ID)


def _column_ids(column: pa.ChunkedArray) -> Ids:
    chunk = column.combine_chunks()
    whole = np.frombuffer(chunk.buffers()[1] or b"", _ID)
    ids: Ids = whole[chunk.offset : chunk.offset + len(chunk)]
    return ids


def _join(owner: str, content: ContentTable, parcel: pa.Table, ids: _IdMap) -> Places:
    """For each row of a parcel, the place of its index id in the partner's map."""
    source = _source(owner, content.name)
    check_deidentified(content, parcel, source=source)
    wanted = _column_ids(parcel[INDEX_ID])
    if not len(ids.index):
        places, known = np.zeros(len(wanted), np.intp), np.zeros(len(wanted), np.bool_)
    else:
        places = np.minimum(np.searchsorted(ids.index, wanted), len(ids.index) - 1)
        known = ids.index[places] == wanted
    if not known.all():
        raise InvalidRequestError(
            f"{source}: {int((~known).sum())} of {len(wanted)} rows bear an index id that the"
            " release does not know"
        )
    once = content.kind == "person" or content.record_id is None
    repeated = len(places) - len(np.unique(places))
    if once and repeated:
        raise InvalidRequestError(
            f"{source}: {repeated} rows repeat an index id, where each may stand once"
        )
    return places


def _source(owner: str, table: str) -> str:
    return f"table {table!r} of {owner!r}"


def _plain(table: pa.Table) -> pa.Table:
    """Sorted, in one chunk per column, without a partner's own schema metadata."""
    return sort_rows(table.replace_schema_metadata(None)).combine_chunks()


def _people(manifest: Manifest, texts: pa.Array, numbers: Mapping[str, Places]) -> pa.Table:
    columns: dict[str, Any] = {STUDY_ID: texts}
    count = np.zeros(len(texts), np.int16)
    for name in manifest.partner_names:
        here = np.zeros(len(texts), np.bool_)
        here[numbers[name]] = True
        columns[f"in_{name}"] = pa.array(here)
        count += here
    columns["n_partners"] = pa.array(count)
    return pa.table(columns)
