"""The documents say what the code does: commands parse, links resolve, references are fresh."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from linkage.agreement import parse_manifest
from linkage.cli.main import app
from linkage.hub.home import Settings
from linkage.hub.log import KINDS

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("keys/*.md"),
        *ROOT.glob("deploy/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
    ]
)
FILES_WITH_COMMANDS = [
    *PAGES,
    *ROOT.glob("deploy/systemd/*"),
    *ROOT.glob("deploy/containers/*.yaml"),
]

COMMANDS = typer.main.get_command(app)

# What a command line may have behind it in a text.
_END = re.compile(r"\s+#|;|\||>|…|\.\.\.|`")
_COMMAND = re.compile(r"(?<![\w./-])(?:/opt/linkage/\.venv/bin/)?linkage (?=[a-z-])")
_ROLES = {"keys", "hub", "agent", "evaluator", "manifest", "crosswalk", "log", "rehearse", "demo"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _commands(text: str) -> Iterator[str]:
    """Command lines in a text: whatever begins with `linkage` and the name of a command."""
    for line in text.replace("\\\n", " ").splitlines():
        code = line.startswith(("    ", "$ ")) or "ExecStart" in line
        for match in _COMMAND.finditer(line):
            inside = line[: match.start()].count("`") % 2 == 1
            if not (inside or code):
                continue
            rest = line[match.end() :]
            end = _END.search(rest)
            command = rest[: end.start()] if end else rest
            if command.split()[0] in _ROLES:
                yield command.strip()


def _lines() -> list[tuple[str, str]]:
    return [
        (_name(path), command)
        for path in FILES_WITH_COMMANDS
        for command in dict.fromkeys(_commands(path.read_text("utf-8")))
    ]


@pytest.mark.parametrize(("page", "line"), _lines())
def test_commands_in_documents_exist_with_their_options(page: str, line: str) -> None:
    # A reference lists commands with a place for options.
    words = [word for word in shlex.split(line) if word != "[OPTIONS]"]
    command: Any = COMMANDS
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{page}: no command {words[0]!r}: {line}"
        command = command.commands[words.pop(0)]
    known = {opt: p for p in command.params for opt in [*p.opts, *p.secondary_opts]}
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    given = []
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            given.append(word)
            continue
        if word == "--help":
            continue
        assert word in known, f"{page}: no option {word}: {line}"
        if not known[word].is_flag:
            assert words, f"{page}: {word} has no value: {line}"
            words.pop(0)
    many = any(p.nargs == -1 for p in arguments)
    assert many or len(given) <= len(arguments), f"{page}: too many arguments: {line}"


def test_documents_name_commands() -> None:
    assert len(_lines()) > 60


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{_name(page)}: {target}"
        if anchor and path.suffix == ".md":
            assert anchor in _anchors(path), f"{_name(page)}: no heading for {target}"


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_documents_name_no_machine(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"/(work|root|home|Users)/\w", text)


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()


@pytest.mark.parametrize("name", GENERATOR.PAGES)
def test_generated_references_are_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text("utf-8")
    assert written == GENERATOR.PAGES[name](), "run: python docs/generate_cli.py"


def test_every_setting_of_a_manifest_has_a_meaning() -> None:
    rows = re.findall(r"^\| `.*$", GENERATOR.manifest_page(), flags=re.MULTILINE)
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_error_has_a_meaning() -> None:
    rows = re.findall(r"^\| `.*$", GENERATOR.errors_page(), flags=re.MULTILINE)
    assert len(rows) > 20
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_direct_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    peers = (ROOT / "requirements" / "peers.in").read_text("utf-8").splitlines()
    declared = {"Everywhere": project["dependencies"]}
    declared |= {f"`[{name}]`": found for name, found in extras.items()}
    declared["Peers"] = [line for line in peers if line and not line.startswith("#")]
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    sections = {
        head: set(re.findall(r"^\| `([^`]+)` \|", body, flags=re.MULTILINE))
        for head, body in re.findall(r"^## (\S+)(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    }
    expected = {
        head: {re.match(r"[A-Za-z0-9_.-]+", line)[0] for line in lines}  # type: ignore[index]
        for head, lines in declared.items()
    }
    assert sections == expected


def test_every_kind_of_entry_of_the_log_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "log.md").read_text("utf-8")
    found = dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (.*) \|$", page, flags=re.MULTILINE))
    assert found == KINDS


def test_files_that_the_threat_model_names_exist() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
    named = re.findall(r"`((?:tests|linkage)/[\w/.]+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert len(named) > 20


def test_sample_configuration_is_valid() -> None:
    samples = ROOT / "deploy" / "samples"
    manifest = parse_manifest((samples / "manifest.json").read_bytes())
    tutorial = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    grouped = re.findall(r"to read aloud((?:\s+[0-9a-f]{4}\b)+)", tutorial)
    assert ["".join(group.split()) for group in grouped] == [manifest.fingerprint]
    assert set(re.findall(r"^ *([0-9a-f]{64})$", tutorial, re.MULTILINE)) == {manifest.fingerprint}
    assert f"manifest {manifest.fingerprint[:16]}" in (ROOT / "README.md").read_text("utf-8")
    settings = Settings.model_validate_json((samples / "hub.json").read_bytes())
    assert set(json.loads((samples / "hub.json").read_bytes())) == set(Settings.model_fields)
    assert settings.hosts


def _shown_by() -> list[tuple[str, str]]:
    """Of every line about what holds: the attack, and what is said to show it."""
    text = (ROOT / "docs/threat-model.md").read_text("utf-8")
    holds = text[text.index("## Attack by attack") : text.index("## What does not hold")]
    rows = [
        re.split(r"(?<!\\)\|", line.strip().strip("|"))
        for line in holds.splitlines()
        if "|" in line
    ]
    return [
        (row[0].strip(), row[-1].strip())
        for row in rows
        if row[0].strip() != "attack" and not set(row[0]) <= set("- ")
    ]


@pytest.mark.parametrize(("attack", "shown"), _shown_by(), ids=[a for a, _ in _shown_by()])
def test_the_threat_model_names_tests_that_exist(attack: str, shown: str) -> None:
    """A path, or a function of the path before; or a command of the Makefile."""
    named = re.findall(r"`([^`]+)`", shown)
    assert named, "no test is named"
    text = ""
    for one in named:
        if one.startswith("make "):
            assert f"\n{one.removeprefix('make ')}:" in (ROOT / "Makefile").read_text("utf-8")
            continue
        path, _, function = one.partition("::")
        if path:
            text = (ROOT / path).read_text("utf-8") if (ROOT / path).is_file() else ""
            assert (ROOT / path).exists(), one
        assert not function or f"\ndef {function}(" in text, one
