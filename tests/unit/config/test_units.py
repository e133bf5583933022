"""Tests that quantities parse to the written value and that anything else raises ValueError with a text."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import units
from bridge.config.units import BITS, DURATIONS, SIZES, Share

counts = st.integers(1, 36_500)


@given(counts, st.sampled_from(sorted(DURATIONS)))
def test_durations_are_parsed(count: int, unit: str) -> None:
    assert units.duration(f"{count}{unit}") == count * DURATIONS[unit]
    assert units.duration_or_never(f"{count}{unit}") == count * DURATIONS[unit]


@given(counts, st.sampled_from(sorted(SIZES)))
def test_sizes_are_parsed(count: int, unit: str) -> None:
    assert units.size(f"{count}{unit}") == units.size_or_share(f"{count}{unit}") == count * SIZES[unit]
    assert units.volume(f"{count}{unit}/day") == count * SIZES[unit]


@given(counts, st.sampled_from(sorted(BITS)))
def test_rates_are_parsed(count: int, unit: str) -> None:
    assert units.rate(f"{count}/s") == count
    assert units.bandwidth(f"{count}{unit}/s") == count * BITS[unit]


@given(st.integers(1, 100))
def test_shares_are_parsed_and_shown(percent: int) -> None:
    assert units.size_or_share(f"{percent}%") == Share(percent)
    assert str(Share(percent)) == f"{percent}%"


def test_documented_quantities_are_parsed() -> None:
    assert units.duration("500ms") == timedelta(milliseconds=500)
    assert units.duration_or_never("never") is None
    assert (units.size("64KiB"), units.size("5MB"), units.size("480B")) == (65536, 5_000_000, 480)


TEXTS = st.text(max_size=30) | st.from_regex(r"[0-9]{0,25}[A-Za-z%]{0,4}(/[a-z]{0,3})?", fullmatch=True)


@given(TEXTS)
def test_any_text_is_a_quantity_or_a_printable_value_error(text: str) -> None:
    for parse in (
        units.duration,
        units.duration_or_never,
        units.size,
        units.size_or_share,
        units.rate,
        units.volume,
        units.bandwidth,
    ):
        try:
            parse(text)  # type: ignore[operator]
        except ValueError as error:
            assert str(error).isprintable()


@pytest.mark.parametrize("text", ["٣s", "1_0s", "01s", "1e3s", "+1s", " 1s", "1s ", "1S", "1H", "1sec", "s", "", "∞"])
def test_numbers_that_only_python_accepts_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        units.duration(text)
