"""A house of real processes: one hub, two partners and an assembler, enrolled once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.house import House


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    found = House(tmp_path_factory.mktemp("house"))
    hub = found.home("hub")
    passphrase = found.path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text("correct horse battery staple\n")
    found.good(
        "hub", "init", "--name", "county", "--address", "127.0.0.1:0", "--host", "127.0.0.1",
        "--passphrase", f"file:{passphrase}", home=hub,
    )  # fmt: skip
    found.serve()
    try:
        invite = ("hub", "invite", "--out", str(found.path))
        found.good(*invite, "north", "south", home=hub)
        found.good(*invite, "bureau", "--role", "assembler", home=hub)
        groups = {"north": "agent", "south": "agent", "bureau": "evaluator"}
        prints = {
            name: found.good(group, "init", home=found.home(name))["fingerprint"]
            for name, group in groups.items()
        }
        for name, group in groups.items():
            found.good(group, "enrol", str(found.path / f"{name}.invite"), home=found.home(name))
            others = [word for other in prints if other != name for word in (other, prints[other])]
            found.good(group, "trust", *others, home=found.home(name))
        yield found
    finally:
        found.stop()
