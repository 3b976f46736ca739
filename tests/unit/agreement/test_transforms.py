from __future__ import annotations

from linkage.agreement.transforms import MEANINGS, SHORT, Transform


def test_every_transform_is_put_into_words_once() -> None:
    assert set(MEANINGS) == set(SHORT) == set(Transform)
    assert len(set(SHORT.values())) == len(SHORT)
