"""Tests that the latest sampled events of an intake count, and older ones do not."""

from __future__ import annotations

from bridge.ingest.format_matches import LATEST, FormatMatches


def test_events_before_a_fix_are_forgotten() -> None:
    matches = FormatMatches()
    for _ in range(LATEST // 5 * 3):
        matches.note(5, 5)
    assert (matches.sampled, matches.mismatches) == (LATEST, LATEST)
    for _ in range(LATEST // 10):
        matches.note(5, 0)
    assert (matches.sampled, matches.mismatches) == (LATEST, LATEST // 2)
    for _ in range(LATEST // 10):
        matches.note(5, 0)
    assert (matches.sampled, matches.mismatches) == (LATEST, 0)


def test_few_samples_all_count() -> None:
    matches = FormatMatches()
    matches.note(3, 1)
    matches.note(4, 0)
    assert (matches.sampled, matches.mismatches) == (7, 1)


def test_at_least_the_latest_events_count_whatever_the_reads_have() -> None:
    matches = FormatMatches()
    for sampled in (150, 90, 7, 3, 190):
        matches.note(sampled, 0)
        assert matches.sampled < LATEST + 150
    assert matches.sampled >= LATEST
