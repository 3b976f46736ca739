"""`linkage agent sign` shows what is signed, asks, and takes no silence for a yes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linkage.agreement import Manifest, parse_manifest
from linkage.cli import signing
from linkage.errors import InputError, NotAgreedError
from linkage.synthetic.agreement import demo_manifest


@pytest.fixture
def manifest() -> Manifest:
    return parse_manifest(json.dumps(demo_manifest()).encode())


class Terminal:
    def isatty(self) -> bool:
        return True


def test_nobody_to_ask_is_no_yes(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/null").open() as nobody:
        monkeypatch.setattr(signing.sys, "stdin", nobody)
        with pytest.raises(InputError, match="nobody is there") as caught:
            signing._ask(manifest)
    assert "--yes" in (caught.value.remedy or "")


def test_what_is_signed_is_shown_before_it_is_asked(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signing.sys, "stdin", Terminal())
    asked: list[str] = []

    def no(question: str, **_: object) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(signing.typer, "confirm", no)
    with pytest.raises(NotAgreedError, match="nothing was signed"):
        signing._ask(manifest)
    shown = capsys.readouterr().err
    assert manifest.fingerprint in shown
    assert "Four questions" in shown
    assert len(asked) == 1
    monkeypatch.setattr(signing.typer, "confirm", lambda *_, **__: True)
    signing._ask(manifest)
