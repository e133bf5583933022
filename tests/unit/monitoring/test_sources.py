"""Tests the source list: sorting, search and pages."""

from datetime import UTC

import pytest

from bridge.ingest.clock_skew import SourceClock
from bridge.ingest.peers import Peers
from bridge.monitoring.sources import CLOCK_MS, SORTS, SURVEY_MS, SourceList, Wanted
from bridge.routing import Router

NOW = 1_795_418_640_000


class Unrouted:
    kind, intake = "hold", None


class ManualClock:
    now = NOW / 1000

    def __call__(self):
        return self.now


@pytest.fixture
def source_list():
    peers, wall = (
        Peers(Router(routes=(), intakes={}, listeners={"udp": None}, unrouted=Unrouted(), timezone=UTC)),
        ManualClock(),
    )
    for number in range(20):
        peer = peers.get("udp", f"192.0.2.{number}")
        peer.events = number
        peer.last_seen_ms = NOW - number * 600_000
        peer.unrouted = number % 5 == 0
        peer.shape = "fortinet" if number % 2 else "rfc3164"
        peer.clock = SourceClock()
        peer.clock.note(-7200.0 if number == 7 else -0.5, now_ms=NOW, has_zone=False, has_year=False, zone=UTC)
    return SourceList(peers, wall), peers, wall


def addresses(page):
    return [row["address"] for row in page["sources"]]


@pytest.mark.parametrize("sort", SORTS)
def test_pages_add_up_to_the_sorted_list(source_list, sort):
    sources, _, _ = source_list
    all_addresses = addresses(sources.page(Wanted(sort=sort)))
    pages = [addresses(sources.page(Wanted(sort=sort, offset=offset, limit=7))) for offset in (0, 7, 14, 21)]
    assert [address for page in pages for address in page] == all_addresses
    assert len(set(all_addresses)) == 20


def test_filters_and_search_select_sources(source_list):
    sources, _, _ = source_list
    page = sources.page(Wanted(only="unrouted", limit=2))
    assert (page["total"], page["matching"], len(page["sources"])) == (20, 4, 2)
    assert addresses(sources.page(Wanted(only="clock"))) == ["192.0.2.7"]
    assert sources.page(Wanted(only="silent"))["matching"] == 14
    assert sources.page(Wanted(only="nothing of this name"))["matching"] == 0
    assert addresses(sources.page(Wanted(find="192.0.2.19"))) == ["192.0.2.19"]
    assert sources.page(Wanted(find="fortinet"))["matching"] == 10


def test_counts_are_refreshed_at_intervals(source_list):
    sources, peers, wall = source_list
    counts = sources.counts()
    assert (counts["total"], counts["unrouted"], counts["clock"], counts["silent"]) == (20, 4, 1, 14)
    peers.get("udp", "192.0.2.99").note_read(1, NOW)
    assert sources.counts()["total"] == 20
    wall.now += SURVEY_MS / 1000
    assert sources.counts()["total"] == 21


def test_rate_is_that_of_the_last_seconds(source_list):
    _, peers, _ = source_list
    peer = peers.get("udp", "198.51.100.1")
    for second in range(20):
        peer.events += 50
        peer.measure(NOW + second * 1000)
    assert peer.rate_at(NOW + 20_000) == pytest.approx(50, rel=0.3)
    assert peer.rate_at(NOW + 120_000) < 5
    assert peer.rate_at(NOW + 3_600_000) < 1


def test_rate_measured_while_the_clock_was_ahead_is_not_current(source_list):
    _, peers, _ = source_list
    peer = peers.get("udp", "198.51.100.1")
    for second in range(20):
        peer.events += 50
        peer.measure(NOW + second * 1000)
    assert peer.rate_at(NOW - 3_600_000) == 0


def test_other_sources_are_near_the_address(source_list):
    sources, _, _ = source_list
    others = sources.other_sources("192.0.2.200")
    assert others["only"] is None
    assert others["near"] == sorted(others["near"])
    assert len(others["near"]) == 5
    assert sources.other_sources("203.0.113.1")["near"] == []


def test_a_peer_that_has_sent_nothing_is_no_source(source_list):
    """A load balancer's health check only opens a connection."""
    sources, peers, _ = source_list
    peers.get("udp", "192.0.2.99")
    assert "192.0.2.99" not in addresses(sources.page(Wanted()))
    assert sources.find("192.0.2.99") == []
    assert sources.counts()["total"] == 20


def test_a_zone_is_not_part_of_the_address(source_list):
    sources, peers, _ = source_list
    peers.get("udp", "fe80::1%eth0").note_read(1, NOW)
    for address in ("fe80::1", "fe80::1%eth0", "FE80::1%2"):
        assert [peer.address for peer in sources.find(address)] == ["fe80::1"]


def test_clock_of_a_source_that_is_not_heard_of_for_a_day_is_no_problem(source_list):
    sources, peers, wall = source_list
    wall.now = (peers.get("udp", "192.0.2.7").last_seen_ms + CLOCK_MS) / 1000
    assert (sources.wrong_clocks(), sources.counts()["clock"]) == ([], 0)


def test_clock_that_became_right_after_the_survey_is_not_listed(source_list):
    sources, peers, _ = source_list
    assert [peer.address for peer, _ in sources.wrong_clocks()] == ["192.0.2.7"]
    peers.get("udp", "192.0.2.7").clock.note(0.5, now_ms=NOW, has_zone=False, has_year=False, zone=UTC)
    assert sources.wrong_clocks() == []
