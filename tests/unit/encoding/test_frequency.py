"""How common a name is, by the open table alone."""

from __future__ import annotations

import numpy as np
import pytest

from linkage.agreement import FieldType, IdentifierField
from linkage.encoding.frequency import COMMON, MEDIUM, NOT_SAID, RARE, frequency_class
from linkage.encoding.pairlists import prepare
from linkage.encoding.prf import namespace_of


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        (FieldType.SURNAME, "smith", COMMON),
        (FieldType.SURNAME, "dickinson", MEDIUM),
        (FieldType.SURNAME, "quackenbush", RARE),
        (FieldType.SURNAME, "smith quackenbush", RARE),
        (FieldType.SURNAME, "иванов", RARE),
        (FieldType.GIVEN_NAME, "mary", COMMON),
        (FieldType.GIVEN_NAME, "smith", RARE),
        (FieldType.MIDDLE_NAME, "smith", COMMON),
        (FieldType.MIDDLE_NAME, "j", NOT_SAID),
        (FieldType.GIVEN_NAME, "j mary", COMMON),
        (FieldType.CITY, "smith", NOT_SAID),
        (FieldType.SURNAME, "", NOT_SAID),
    ],
)
def test_classes(kind: FieldType, value: str, found: int) -> None:
    assert frequency_class(kind, value) == found


def test_it_is_said_only_where_the_manifest_asks() -> None:
    names = np.array(["smith", "quackenbush", None, "smith"], dtype=np.object_)
    fields = [
        IdentifierField(name="born", type=FieldType.SURNAME),
        IdentifierField(name="now", type=FieldType.SURNAME, frequency=True),
    ]
    keys = {namespace_of(field): bytearray(32) for field in fields}
    prepared = prepare(fields, keys, {"born": names, "now": names})
    assert prepared.frequency.tolist() == [NOT_SAID, NOT_SAID, COMMON, RARE]
    prepared.wipe()
    assert not prepared.frequency.any()
