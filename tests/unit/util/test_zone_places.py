"""Tests that the places of abbreviations and offsets agree with the time zone database."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bridge.syslog.time_zones import ABBREVIATIONS, zone_of
from bridge.util.zone_places import PLACES, UNCHANGING, WINTER, unchanging_place

SEASONS = [datetime(2026, month, 15, tzinfo=UTC) for month in (1, 7)]


def offsets(place):
    return [moment.astimezone(ZoneInfo(place)).utcoffset() for moment in SEASONS]


def test_every_abbreviation_of_devices_has_places():
    assert {name.decode() for name in ABBREVIATIONS} - {"UTC", "UCT"} <= set(PLACES)


@pytest.mark.parametrize("name", PLACES)
def test_places_have_the_abbreviation_in_one_season(name):
    for place in PLACES[name]:
        shown = {moment.astimezone(ZoneInfo(place)).tzname() for moment in SEASONS}
        # The database has no letters for some zones, and the English ones of German names and of MET.
        if all(text[:1].isalpha() for text in shown) and name[:2] not in ("ME",):
            assert name in shown, place
    if zone := zone_of(name.encode()):
        assert zone.utcoffset(None) in {offset for place in PLACES[name] for offset in offsets(place)}


def test_offsets_are_those_of_the_places():
    for minutes, place in UNCHANGING.items():
        assert offsets(place) == [timedelta(minutes=minutes)] * 2, place
        assert unchanging_place(timedelta(minutes=minutes)) == place
    for minutes, place in WINTER.items():
        assert min(offsets(place)) == timedelta(minutes=minutes), place
        assert len(set(offsets(place))) == 2, place
    assert unchanging_place(timedelta(minutes=17)) is None
