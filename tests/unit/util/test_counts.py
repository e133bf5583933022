"""Tests how counts are written."""

import pytest

from bridge.util.counts import counted


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "event", "0 events"), (1, "event", "1 event"), (71_827, "event", "71,827 events"),
        (1, "more problem", "1 more problem"), (3, "batch", "3 batches"), (2, "alias", "2 aliases"),
        (1, "copy", "1 copy"), (2, "copy", "2 copies"), (2, "key", "2 keys"), (2, "entry", "2 entries"),
    ],
)  # fmt: skip
def test_count_is_written_with_its_noun(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text
