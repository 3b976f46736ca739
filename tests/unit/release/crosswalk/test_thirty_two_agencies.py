"""The bar: 32 agencies with 60 codes each; inventory, crosswalk and coverage equal a hand count.

The hand counts below use dictionaries and the rows themselves, nothing of what is tested.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from linkage.agent.lookups import Lookups
from linkage.agreement import Partner
from linkage.release.crosswalk.applying import Accounts, Mapper
from linkage.release.crosswalk.checking import (
    parse_crosswalk,
    parse_inventory,
    require_sound,
)
from linkage.release.crosswalk.documents import CodeMapping, Crosswalk, Inventory
from linkage.release.crosswalk.editing import from_csv, to_csv
from linkage.release.crosswalk.inventory import count_codes, make_inventory
from linkage.release.crosswalk.merging import merge
from linkage.release.deidentify import deidentify_table

from .conftest import CRISIS, crosswalk, mapping

AGENCIES, CODES, THRESHOLD = 32, 60, 11


@dataclass(frozen=True)
class County:
    """Rows are (agency, code); code None where a row has none."""

    rows: list[tuple[str, str | None]]
    inventories: dict[str, Inventory]
    crosswalk: Crosswalk


@pytest.fixture(scope="module")
def county() -> County:
    chance = random.Random(20260301)
    standard = [entry.code for entry in CRISIS.codes]
    rows: list[tuple[str, str | None]] = []
    entries: list[CodeMapping] = []
    for number in range(AGENCIES):
        agency = f"PD{number:02d}"
        for code in range(CODES):
            local = f"{number}-{code}"
            # Every seventh is rare, and every ninth has no mapping.
            times = chance.randrange(1, THRESHOLD) if code % 7 == 6 else chance.randrange(11, 90)
            rows += [(agency, local)] * times
            if code % 9 != 8:
                entries.append(mapping(agency, local, chance.choice(standard)))
        rows += [(agency, None)] * chance.choice((0, 5, 40))
    chance.shuffle(rows)
    inventories = {}
    for number in range(AGENCIES):
        agency = f"PD{number:02d}"
        cells = [code for who, code in rows if who == agency]
        counted = count_codes([(cells[:500], None), (cells[500:], None)])
        made = make_inventory(counted, agency=agency, threshold=THRESHOLD, name_rare=True)
        inventories[agency] = parse_inventory(made.canonical)
    return County(rows, inventories, require_sound(crosswalk(*entries), codes=CRISIS))


def by_hand(county: County) -> dict[tuple[str, str | None], int]:
    counts: dict[tuple[str, str | None], int] = {}
    for row in county.rows:
        counts[row] = counts.get(row, 0) + 1
    return counts


def test_inventories_equal_a_hand_count(county: County) -> None:
    counts = by_hand(county)
    named = shown = 0
    for agency, inventory in county.inventories.items():
        own = {code: rows for (who, code), rows in counts.items() if who == agency}
        assert inventory.rows == sum(own.values())
        assert len(inventory.codes) == CODES
        named += len(inventory.codes)
        for entry in inventory.codes:
            if entry.rows is None:
                continue
            shown += 1
            assert entry.rows == own[entry.code] >= THRESHOLD
        hidden = [own[e.code] for e in inventory.codes if e.rows is None]
        assert len([rows for rows in hidden if rows < THRESHOLD]) == 8
        # At most two counts more than the rare ones are hidden.
        assert len(hidden) <= 10
        empty = own.get(None, 0)
        assert inventory.empty == (None if 0 < empty < THRESHOLD else empty)
        assert inventory.rest == sum(hidden) + (empty if inventory.empty is None else 0)
    assert (named, shown) == (1920, 1920 - sum(8 for _ in range(AGENCIES)))


def test_coverage_equals_a_hand_count(county: County) -> None:
    counts = by_hand(county)
    merged = merge(county.inventories, county.crosswalk)
    shown = {
        (agency, entry.code)
        for agency, inventory in county.inventories.items()
        for entry in inventory.codes
        if entry.rows is not None
    }
    means = {(one.agency, one.local): one.standard for one in county.crosswalk.mappings}
    rows: dict[str | None, int] = {}
    codes: dict[str | None, set[tuple[str, str]]] = {}
    for (agency, code), times in counts.items():
        if code is not None:
            standard = means.get((agency, code))
            codes.setdefault(standard, set()).add((agency, code))
            if (agency, code) in shown:
                rows[standard] = rows.get(standard, 0) + times
    for covered in merged.coverage:
        own = codes[covered.standard]
        assert covered.rows == rows[covered.standard]
        assert covered.codes == len(own)
        assert covered.agencies == len({agency for agency, _ in own})
        assert covered.hidden == len(own - shown)
    assert {c.standard for c in merged.coverage} == set(codes) - {None}
    assert merged.total.mapped == sum(n for standard, n in rows.items() if standard)
    assert merged.total.unmapped == rows[None]
    assert {(c.agency, c.local) for c in merged.unmapped} == codes[None]
    assert merged.total.rows == len(county.rows)
    assert merged.total.whole
    assert all(share.whole for share in merged.shares)
    listed = [c.rows for c in merged.codes if c.rows is not None]
    assert listed == sorted((counts[key] for key in shown), reverse=True)
    assert merged.strangers == ()


def test_every_row_is_accounted_for_when_applied(county: County) -> None:
    counts = by_hand(county)
    means = {(one.agency, one.local): one.standard for one in county.crosswalk.mappings}
    mapper, accounts = Mapper(county.crosswalk), Accounts()
    for start in range(0, len(county.rows), 4096):
        part = county.rows[start : start + 4096]
        found = mapper.standard_codes([a for a, _ in part], [c for _, c in part], accounts)
        assert found == [means.get((a, c)) if c else None for a, c in part]
    accounts.require_whole()
    assert accounts.rows == len(county.rows)
    assert accounts.empty == sum(n for (_, code), n in counts.items() if code is None)
    assert accounts.unmapped == {
        key: n for key, n in counts.items() if key[1] is not None and key not in means
    }
    by_standard: dict[str | None, int] = {}
    for key, n in counts.items():
        if key in means:
            by_standard[means[key]] = by_standard.get(means[key], 0) + n
    assert accounts.mapped == by_standard


def test_every_row_leaves_with_its_standard_code_or_the_mark(
    county: County, tmp_path: Path
) -> None:
    """As the agent does it when content leaves."""
    counts = by_hand(county)
    means = {(one.agency, one.local): one.standard for one in county.crosswalk.mappings}
    (tmp_path / "calls.json").write_bytes(county.crosswalk.canonical)
    how = {"name": "calls", "agency_column": "who"}
    field = {"name": "code", "transform": "crosswalk", "lookup": how}
    known = {
        "name": "calls",
        "kind": "crosswalk",
        "version": 1,
        "digest": county.crosswalk.digest,
    }
    table = {"name": "calls", "kind": "event", "record_id": "id", "fields": [field]}
    partner = Partner.model_validate({"name": "county", "lookups": [known], "content": [table]})
    frame = pd.DataFrame(county.rows, columns=["who", "code"], dtype=object)
    lookups = Lookups(partner, {"calls": tmp_path / "calls.json"})
    found = lookups.find(partner.content[0], frame)["code"]
    clean = deidentify_table(
        partner.content[0], frame, file="f", looked_up={"code": found.looked_up}
    )
    assert clean["code"].to_pylist() == [
        means.get((who, code), "unmapped") if code else None for who, code in county.rows
    ]
    unmapped = sum(n for key, n in counts.items() if key[1] and key not in means)
    assert (found.count.rows, found.count.unmatched) == (
        sum(n for (_, code), n in counts.items() if code),
        unmapped,
    )
    assert len(found.unmatched) == unmapped > 0


def test_it_comes_back_whole_as_json_and_as_table(county: County) -> None:
    again = parse_crosswalk(county.crosswalk.canonical, codes=CRISIS)
    assert again.digest == county.crosswalk.digest
    assert tuple(from_csv(to_csv(again))) == again.mappings
