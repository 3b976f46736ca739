"""While an act waits for others and is asked again, what it has read is not read again."""

from __future__ import annotations

from linkage.agent.last import Last


def test_a_thing_is_made_again_only_from_another() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name

    last: Last[str] = Last()
    found = [last.get({"from": name}, lambda name=name: make(name)) for name in "aabba"]
    assert found == list("aabba")
    assert made == list("aba")
