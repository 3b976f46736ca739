"""Every command and every option says what it is for."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
import typer

from linkage import errors
from linkage.cli.main import app

ROOT = typer.main.get_command(app)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for child, found in getattr(command, "commands", {}).items():
        yield from commands(found, f"{name} {child}")


ALL = dict(commands(ROOT, "linkage"))


def test_the_whole_tree_is_walked() -> None:
    assert {"linkage rehearse", "linkage demo", "linkage agent submit", "linkage hub serve"} <= set(
        ALL
    )
    assert len(ALL) > 30


@pytest.mark.parametrize("name", ALL)
def test_help_texts(name: str) -> None:
    command = ALL[name]
    assert command.help, f"{name} says nothing of itself"
    for parameter in command.params:
        text = getattr(parameter, "help", None)
        assert text, f"{name}: {parameter.name} says nothing of itself"
        if name != "linkage":
            words = str(parameter.name)
            assert not words.startswith(("secret", "token", "key_")), "no secret on a command line"


def test_every_exit_code_is_in_the_help() -> None:
    text = str(ROOT.epilog)
    codes = {cls.exit_code for cls in errors.by_reason().values()} - {1}
    assert {f"{code} " for code in codes} <= {f"{word} " for word in text.split()}
