"""Every RPC with wrong messages, from a party of each role: the hub answers, or refuses in words.

A short run; `make fuzz` does tens of thousands.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from linkage.rpc.policy import POLICY
from tests.fuzz.rpcs import Target, enrolment_of
from tests.integration.hub.conftest import Hub, raw, small_matrix

from .attack import Attack

CASES = 600


@pytest.fixture(scope="module")
def fuzzed(
    hub: Hub, members: Any, steward_connection: Any, agreed: Any, linked: Any, tmp_path_factory: Any
) -> Target:
    sheriff = members["sheriff"]
    upload = sheriff.create(sheriff.header(agreed, raw(small_matrix(agreed)))).upload
    place: Path = tmp_path_factory.mktemp("newcomer")
    return Target.of(
        hub,
        {name: members[name] for name in ("sheriff", "health", "outsider", "county", "reader")},
        steward_connection,
        enrolment_of(hub, place),
        manifests=[agreed, linked.manifest],
        runs=[linked.run],
        releases=[],
        uploads=[upload],
        random=Random(5),
    )


def test_wrong_messages_are_refused(attack: Attack, fuzzed: Target) -> None:
    while fuzzed.cases < CASES:
        fuzzed.step()
    assert Counter((one.method, one.what) for one in fuzzed.findings) == {}
    # Most are refused, and not all: else nothing got as far as the use cases.
    assert CASES // 4 < fuzzed.refused < fuzzed.cases
    assert len(fuzzed.tried) > len(POLICY) * 3 // 4
    attack.alive()
