"""Tests the appends of a merged read: one write per batch file, in the same call, in the order of each source."""

from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest

from bridge.batching import Group
from bridge.batching.groups import GroupCollection
from bridge.ingest.disposition_writer import DispositionWriter
from bridge.routing import Router
from bridge.spool import Spool
from bridge.syslog.framing import datagrams
from tests.unit.ingest.test_pipeline import UTC, Bridge, Intake, Route, Unrouted
from tests.unit.routing.test_routing import Source

PARIS = Source((ip_network("192.0.2.7/32"),), timezone=ZoneInfo("Europe/Paris"))


@pytest.fixture
def bridge(tmp_path):
    """Three profiles: two with one intake, in different time zones, and one with another intake."""
    built = Bridge(tmp_path / "spool", [Route("b", "raw", source=(ip_network("192.0.2.9/32"),)), Route("all", "a")])
    built.peers.router = Router(
        routes=built.routes, intakes={"a": Intake(), "raw": Intake("raw")}, listeners={"udp": None},
        unrouted=Unrouted(), timezone=UTC, sources=(PARIS,),
    )  # fmt: skip
    return built


@pytest.fixture
def appended(monkeypatch):
    groups = []
    append = Spool.append
    monkeypatch.setattr(Spool, "append", lambda spool, group: groups.append(group) or append(spool, group))
    return groups


def take(bridge, **by_host):
    members = [
        (bridge.peers.get("udp", f"192.0.2.{host[1:]}"), [b"<13>Nov 23 %b gw app: %b" % each for each in frames])
        for host, frames in by_host.items()
    ]
    bridge.pipeline.take_many(members, datagrams)


def test_peers_of_several_profiles_make_one_write_per_file(bridge, appended):
    take(
        bridge,
        h1=[(b"12:00:00", b"1"), (b"12:00:00", b"2")],
        h7=[(b"13:00:00", b"3"), (b"13:00:00", b"4")],
        h9=[(b"12:00:00", b"5")],
        h2=[(b"12:00:00", b"6")],
    )
    assert [(group.intake, group.count) for group in appended] == [("a", 5), ("raw", 1)]
    assert bridge.events("a") == [b"1", b"2", b"6", b"3", b"4"]
    bridge.check(received=6, spooled=6)
    assert bridge.pipeline.read_counts.by_route == {"all": 5, "b": 1}


def test_each_second_keeps_its_file_and_each_source_its_order(bridge, appended):
    take(
        bridge,
        h1=[(b"12:00:00", b"1"), (b"12:00:01", b"2"), (b"12:00:00", b"3")],
        h7=[(b"13:00:01", b"4"), (b"13:00:00", b"5"), (b"13:00:01", b"6")],
    )
    assert [group.data for group in sorted(appended, key=lambda group: group.slot)] == [b"1\n3\n5\n", b"2\n4\n6\n"]
    bridge.check(received=6, spooled=6)
    bridge.spool.seal_all()
    names = sorted(path.name.split("-", 1)[1] for path in (bridge.directory / "a").iterdir())
    assert [name.split("-")[1:] for name in names] == [["3", "6.lines"], ["3", "6.lines"]]


def test_defect_in_one_profile_loses_no_events_of_the_others(bridge, monkeypatch):
    route = DispositionWriter.route

    def fail_in_paris(writer, read, profile, parsed, *rest):
        if profile.constant.zone != UTC:
            raise RuntimeError("defect")
        return route(writer, read, profile, parsed, *rest)

    monkeypatch.setattr(DispositionWriter, "route", fail_in_paris)
    with pytest.raises(RuntimeError, match="defect"):
        take(bridge, h1=[(b"12:00:00", b"1")], h7=[(b"13:00:00", b"2")])
    assert bridge.events("a") == [b"1"]
    bridge.check(received=1, spooled=1)


def test_failed_write_drops_all_joined_events(bridge, monkeypatch):
    def fail(spool, group):
        raise OSError(5, "input/output error", str(spool.directory))

    monkeypatch.setattr(Spool, "append", fail)
    take(bridge, h1=[(b"12:00:00", b"1")], h7=[(b"13:00:00", b"2"), (b"13:00:00", b"3")])
    bridge.check(received=3, dropped={"spool_write_failed": 3})


def test_groups_are_joined_by_file():
    def group(slot, data, *, timed=False, intake="a", times=(5, 9)):
        return Group(intake, "lines", slot, *times, data.count(b"\n"), data, timed)

    collected = GroupCollection()
    collected.add([group(1, b"one\n"), group(2, b"two\n")])
    collected.add([group(1, b"three\nfour\n", times=(2, 7)), group(1, b"other\n", intake="b")])
    collected.add([group(7, b"5\ttimed\n", timed=True), group(8, b"6\ttimed\n", timed=True)])
    assert [(one.intake, one.slot, one.earliest, one.latest, one.count, one.data) for one in collected.joined()] == [
        ("a", 1, 2, 9, 3, b"one\nthree\nfour\n"), ("a", 2, 5, 9, 1, b"two\n"), ("b", 1, 5, 9, 1, b"other\n"),
        ("a", 7, 5, 9, 2, b"5\ttimed\n6\ttimed\n"),
    ]  # fmt: skip
