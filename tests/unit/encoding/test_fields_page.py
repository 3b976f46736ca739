"""The reference of field types is what the code does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from linkage.agreement import FieldType

ROOT = Path(__file__).parents[3]


def _generator() -> ModuleType:
    path = ROOT / "docs" / "generate_fields.py"
    spec = importlib.util.spec_from_file_location("generate_fields", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()


def test_the_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference" / "fields.md").read_text("utf-8")
    assert written == GENERATOR.fields_page(), "run: python docs/generate_fields.py"
    assert GENERATOR.main(["--check"]) == 0


def test_a_stale_page_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(GENERATOR, "PAGE", tmp_path / "fields.md")
    assert GENERATOR.main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().err
    assert GENERATOR.main([]) == 0
    assert GENERATOR.main(["--check"]) == 0


@pytest.mark.parametrize("kind", list(FieldType))
def test_every_type_is_described_with_examples(kind: FieldType) -> None:
    section = GENERATOR.fields_page().partition(f"\n## {kind.value}\n")[2].partition("\n## ")[0]
    told, _, rows = section.partition("| settings |")
    assert len(told) > 80
    assert rows.count("\n| ") >= 2
