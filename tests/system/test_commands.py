"""Tests the commands that change a gateway: they do the same with a running bridge and with a stopped one."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.harness.bridge import Bridge, key_of
from tests.harness.cli import cli, cli_process
from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.process import SYSLOG_BRIDGE
from tests.harness.reporting import report
from tests.harness.running import bridging, collecting, parked_bridge, running
from tests.harness.send import send_lines

# Each command is tested in both states. Half of the tests run only with --long, as starting bridges takes long.
both = pytest.mark.parametrize(
    "stopped", [pytest.param(False, id="running"), pytest.param(True, id="stopped", marks=pytest.mark.long)]
)
both_stopped = pytest.mark.parametrize(
    "stopped", [pytest.param(False, id="running", marks=pytest.mark.long), pytest.param(True, id="stopped")]
)


def rfc3164(number: int, at: datetime, host: str = "gw") -> bytes:
    return f"<13>{at:%b} {at.day:2} {at:%H:%M:%S} {host} app: event {number}".encode()


def stop_if(bridge: Bridge, stopped: bool) -> None:
    if stopped:
        bridge.stop()


def start_if(bridge: Bridge, stopped: bool) -> None:
    if stopped:
        bridge.start()


@both
def test_rerouted_frames_keep_their_time_and_get_the_intakes_payload(tmp_path: Path, stopped: bool) -> None:
    long_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)
    times = [long_ago + timedelta(seconds=7 * i) for i in range(50)]
    with running(tmp_path, intakes={"all": {"payload": "line"}}) as (collector, bridge):
        bridge.configuration["unrouted"] = "hold"
        bridge.configuration["routes"] = [{"intake": "all", "source": "192.0.2.1"}]
        cli(bridge, "reload")
        send_lines(bridge.tcp, [rfc3164(i, at) for i, at in enumerate(times)])
        send_lines(bridge.tcp, [b"<13>noise to be dropped"], source="127.0.0.7")
        # Senders with equally many frames are listed in the order in which they were read.
        bridge.wait_received(51)
        send_lines(bridge.tcp, [b"<13>nobody's"], source="127.0.0.9")
        bridge.wait_received(52)
        rows = json.loads(cli(bridge, "unrouted", "list", "--json").stdout)
        assert [(row["address"], row["frames"]) for row in rows] == [
            ("127.0.0.1", 50), ("127.0.0.7", 1), ("127.0.0.9", 1),
        ]  # fmt: skip
        assert rows[2]["sample"] == "<13>nobody's"
        bridge.configuration["routes"] = [
            {"name": "noise", "drop": True, "source": "127.0.0.7"},
            {"name": "late", "intake": "all", "source": "127.0.0.1"},
        ]
        if stopped:
            bridge.stop()
        else:
            cli(bridge, "reload")
        output = cli(bridge, "unrouted", "reroute").stdout
        assert "50 to intake all" in output and "1 dropped by routes" in output and "1 still held" in output
        # The second run finds no frame that a route matches.
        assert "to intake" not in cli(bridge, "unrouted", "reroute").stdout
        start_if(bridge, stopped)
        arrived = collector.wait_for(50)
        bridge.wait_drained()
        assert {int(event.text.rpartition(" ")[2]) for event in arrived} == set(range(50))
        for event in arrived:
            time, _, text = event.text.partition(" ")
            at = times[int(text.rpartition(" ")[2])]
            assert (text.rpartition(" ")[0], datetime.fromisoformat(time), event.time) == ("gw app: event", at, at)
        ledger = bridge.ledger()
        assert (ledger["quarantined"], ledger["delivered"]) == (1, 50)


@both_stopped
def test_refused_events_are_retried_with_their_time_then_purged(tmp_path: Path, stopped: bool) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    with running(tmp_path) as (collector, bridge):
        send_lines(bridge.tcp, [b"<13>opens the folders"])
        collector.wait_for(1)
        bridge.wait_drained()
        bridge.stop()
        # The file that a courier writes when the collector has refused one event.
        entry = {
            "received_ms": int(at.timestamp() * 1000) + 60_000, "listener": "", "peer": "", "intake": "all",
            "reason": "400", "frame": base64.b64encode(b"refused once").decode(), "sequence": 7, "position": 0,
            "time_ms": int(at.timestamp() * 1000),
        }  # fmt: skip
        lines = json.dumps(entry) + "\n" + json.dumps(entry | {"intake": "other", "position": 1}) + "\n"
        (bridge.spool / ".quarantine" / "refused" / "7-2.jsonl").write_text(lines)
        bridge.start()
        listed = cli(bridge, "quarantine", "list", "--reason", "refused", "--intake", "all", "--json").stdout
        assert json.loads(listed)["frame"] == entry["frame"]
        stop_if(bridge, stopped)
        assert "1 to intake all" in cli(bridge, "quarantine", "retry", "--reason", "refused", "--intake", "all").stdout
        start_if(bridge, stopped)
        arrived = collector.wait_for(2)
        assert (arrived[1].text, arrived[1].time) == ("refused once", at)
        assert bridge.ledger()["quarantined"] == 1
        stop_if(bridge, stopped)
        assert cli(bridge, "quarantine", "purge", stdin="n\n", code=2).stdout == ""
        assert "1 frame deleted" in cli(bridge, "quarantine", "purge", "--yes").stdout
        start_if(bridge, stopped)
        ledger = bridge.ledger()
        assert ledger["quarantined"] == 0
        assert stopped or ledger["dropped"] == {"purged": 1}


def backlog(bridge: Bridge, count: int = 400) -> None:
    """Spools events of several seconds; their collector does not answer."""
    now = datetime.now(UTC)
    lines = [rfc3164(i, now - timedelta(seconds=i % 40), host=f"host{i % 4}") for i in range(count)]
    send_lines(bridge.tcp, lines)
    bridge.wait_received(count)
    until(lambda: bridge.status()["intakes"][0]["backlog_events"] == count, lambda: str(bridge.status()["intakes"]))


@both
@pytest.mark.parametrize(
    "filtered", [pytest.param(False, id="all", marks=pytest.mark.long), pytest.param(True, id="some")]
)
def test_spool_move_moves_the_backlog_to_another_intake(tmp_path: Path, stopped: bool, filtered: bool) -> None:
    dead = {"url": f"http://127.0.0.1:{free_port()}", "payload": "line"}
    with running(tmp_path, intakes={"all": dead, "other": {}}) as (collector, bridge):
        backlog(bridge)
        events = json.loads(cli(bridge, "spool", "list", "--json").stdout)["intakes"]
        assert [(row["name"], row["backlog_events"]) for row in events] == [("all", 400)]
        shown = cli(bridge, "spool", "show", "--source", "host1", "--limit", "3").stdout.splitlines()
        assert len(shown) == 3 and all(" host1 app: event" in line for line in shown)
        exported = [json.loads(line) for line in cli(bridge, "spool", "export").stdout.splitlines()]
        assert len({row["event"] for row in exported}) == len(exported) == 400
        stop_if(bridge, stopped)
        which = ["--source", "host1", "--containing", "app: event"] if filtered else []
        count = 100 if filtered else 400
        output = cli(bridge, "spool", "move", "--intake", "all", "--to", "other", *which).stdout
        assert f"{count} events moved to other" in output
        start_if(bridge, stopped)
        arrived = collector.wait_for(count)
        until(lambda: bridge.status()["intakes"][0]["backlog_events"] == 400 - count, "the rest stays in the backlog")
        assert {event.key for event in arrived} == {key_of("other")}
        assert len({event.text for event in arrived}) == len(arrived) == count
        texts = {row["event"]: row["event_timestamp"] for row in exported}
        for event in arrived:
            assert event.text in texts and (not filtered or " host1 " in event.text)
            about = datetime.fromisoformat(texts[event.text])
            # A request of a backlog carries events of up to a minute.
            assert event.time is not None and abs(event.time - about) < timedelta(minutes=1)
        # The bridge learns after the collector that the moved events were accepted.
        until(lambda: bridge.ledger()["spooled"] == 400 - count, lambda: str(bridge.ledger()))


@both_stopped
def test_spool_purge_removes_the_backlog(tmp_path: Path, stopped: bool) -> None:
    dead = {"url": f"http://127.0.0.1:{free_port()}", "payload": "line"}
    with collecting(tmp_path) as collector, bridging(tmp_path, collector.url, intakes={"all": dead}) as bridge:
        bridge.start()
        backlog(bridge)
        stop_if(bridge, stopped)
        assert "100 events deleted" in cli(bridge, "spool", "purge", "--source", "host2", "--yes").stdout
        assert len(cli(bridge, "spool", "export", "--source", "host2").stdout.splitlines()) == 0
        assert len(cli(bridge, "spool", "export").stdout.splitlines()) == 300
        assert cli(bridge, "spool", "purge", "--intake", "all", code=2).stdout == ""
        assert "300 events deleted" in cli(bridge, "spool", "purge", "--intake", "all", "--yes").stdout
        start_if(bridge, stopped)
        ledger = bridge.ledger()
        assert ledger["spooled"] == 0
        assert stopped or ledger["dropped"] == {"purged": 400}


def test_moved_events_are_not_counted_as_received_after_a_kill(tmp_path: Path) -> None:
    dead = {"url": f"http://127.0.0.1:{free_port()}", "payload": "line"}
    archive = {"directory": str(tmp_path / "bridge" / "spool"), "archive": {"max_size": "1GB", "max_age": "7d"}}
    with running(tmp_path, intakes={"all": dead, "other": {}}, spool=archive) as (collector, bridge):
        backlog(bridge)
        cli(bridge, "spool", "purge", "--source", "host2", "--yes")
        cli(bridge, "spool", "move", "--intake", "all", "--to", "other", "--source", "host1")
        collector.wait_for(100)
        until(lambda: bridge.ledger()["delivered"] == 100, lambda: str(bridge.ledger()))
        day = timedelta(days=1)
        since, until_ = datetime.now(UTC) - day, datetime.now(UTC) + day
        period = ["--from", since.isoformat(), "--to", until_.isoformat()]
        until(lambda: bridge.ledger()["spooled"] == 200, lambda: str(bridge.ledger()))
        assert "100 events are queued" in cli(bridge, "replay", "--intake", "other", *period, "--yes").stdout
        bridge.kill()
        bridge.start()
        collector.wait_for(200)
        until(lambda: bridge.ledger()["spooled"] == 200, lambda: str(bridge.ledger()))
        bridge.stop()
        rows, _ = report(bridge)
    names = ("received", "replayed", "moved_here", "delivered", "dropped", "held", "carried_over", "unexplained")
    source_row, target_row = (
        {name: int(rows[intake][name]) for name in names if int(rows[intake][name])} for intake in ("all", "other")
    )
    assert source_row == {"received": 400, "moved_here": -100, "dropped": 100, "held": 200}
    assert target_row == {"moved_here": 100, "replayed": 100, "delivered": 200}


def deliver_events(bridge: Bridge, collector: Collector, start: datetime, seconds: int) -> list[str]:
    """Delivers events, three per second of event time, and returns their texts."""
    lines = [rfc3164(i, start + timedelta(seconds=i // 3)) for i in range(3 * seconds)]
    send_lines(bridge.tcp, lines)
    collector.wait_for(len(lines))
    bridge.wait_drained()
    return [f"event {i}" for i in range(len(lines))]


@both
def test_replay_delivers_exactly_the_events_of_a_period(tmp_path: Path, stopped: bool) -> None:
    """Each event arrives with its original time and is counted as replayed; a second replay delivers the same set."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    archive = {"directory": str(tmp_path / "bridge" / "spool"), "archive": {"max_size": "1GB", "max_age": "7d"}}
    with running(tmp_path, spool=archive) as (collector, bridge):
        deliver_events(bridge, collector, start, 300)
        since, until_ = start + timedelta(seconds=60), start + timedelta(seconds=160)
        period = ["replay", "--intake", "all", "--from", since.isoformat(), "--to", until_.isoformat()]
        for turn in range(2):
            before = len(collector.arrived)
            stop_if(bridge, stopped)
            assert cli(bridge, *period, stdin="n\n", code=2).stdout == ""
            assert "300 events are queued for delivery again" in cli(bridge, *period, "--yes").stdout
            start_if(bridge, stopped)
            arrived = collector.wait_for(before + 300)[before:]
            bridge.wait_drained()
            assert sorted(int(event.text.rpartition(" ")[2]) for event in arrived) == list(range(180, 480))
            for event in arrived:
                at = start + timedelta(seconds=int(event.text.rpartition(" ")[2]) // 3)
                assert event.time == at
            assert stopped or bridge.ledger()["replayed"] == 300 * (turn + 1)
            assert len(collector.refresh()) == before + 300
        stop_if(bridge, stopped)
        cli(bridge, "replay", "--intake", "all", "--from", "2001-01-01", "--to", "2001-01-02", code=1)
        assert not list((bridge.spool / ".transfer").iterdir())
        start_if(bridge, stopped)


@pytest.mark.weight(15)
def test_drain_empties_a_running_and_a_stopped_bridge(tmp_path: Path) -> None:
    port = free_port()
    with collecting(tmp_path) as collector:
        collector.stop()
        with bridging(tmp_path, f"http://127.0.0.1:{port}") as bridge:
            bridge.start()
            backlog(bridge)
            output = cli(bridge, "drain", "--timeout", "1s", code=1)
            assert "all: 400 events" in output.stdout and "400 events are left" in output.stderr
            assert bridge.get("/readyz")[0] == 503
            with pytest.raises(OSError):
                send_lines(bridge.tcp, [b"<13>too late"])
            collector.port = port
            collector.start()
            assert "no events are left" in cli(bridge, "drain").stdout
            cli(bridge, "reload")
            assert bridge.get("/readyz")[0] == 200
            send_lines(bridge.tcp, [b"<13>welcome again"])
            assert len(collector.wait_for(401)) == 401
            bridge.wait_drained()
            # The same with a stopped bridge.
            collector.stop()
            send_lines(bridge.tcp, [b"<13>left behind"])
            bridge.wait_received(402)
            bridge.stop()
            assert "1 event is left" in cli_process(bridge, "drain", "--timeout", "1s", code=1).stderr
            collector.start()
            assert "no events are left" in cli_process(bridge, "drain").stdout
            assert collector.wait_for(402)[-1].text == "left behind"
            bridge.start()


def test_reload_during_a_drain_opens_the_listeners_again(tmp_path: Path) -> None:
    """The reload does not mistake closing listeners for open ones."""
    with running(tmp_path) as (collector, bridge):
        assert bridge.process is not None
        for turn in range(3):
            drain = subprocess.Popen([SYSLOG_BRIDGE, "drain", "-c", str(bridge.file)], stdout=subprocess.DEVNULL)
            process = bridge.process
            until(
                lambda process=process, turn=turn: process.stderr.count("drained by command") > turn, "drain has begun"
            )
            cli(bridge, "reload")
            assert drain.wait() == 0
            assert bridge.get("/readyz")[0] == 200
            send_lines(bridge.tcp, [b"<13>after %d" % turn])
            collector.wait_for(turn + 1)


def test_key_set_reads_the_key_from_standard_input(tmp_path: Path) -> None:
    with parked_bridge(tmp_path) as (collector, bridge, file):
        assert "nothing was changed" in cli(bridge, "key", "set", "all", stdin="two words\n", code=2).stderr
        assert "nothing was changed" in cli(bridge, "key", "set", "all", stdin="", code=2).stderr
        assert "there is no intake" in cli(bridge, "key", "set", "nobody", stdin="k" * 16, code=2).stderr
        done = cli(bridge, "key", "set", "all", "--no-test", stdin=key_of("all") + "\n")
        assert "uses the new key" in done.stdout and key_of("all") not in done.stdout + done.stderr
        assert len(collector.wait_for(1)) == 1
        assert (file.read_text(), file.stat().st_mode & 0o777) == (key_of("all") + "\n", 0o600)
        assert bridge.process is not None and key_of("all") not in bridge.process.stderr
        # The next reload reads the same key.
        cli(bridge, "reload")
        send_lines(bridge.tcp, [b"<13>goes on"])
        assert len(collector.wait_for(2)) == 2
        bridge.configuration["intakes"]["all"]["intake_key"] = key_of("all")
        assert "not in a file" in cli(bridge, "key", "set", "all", "--no-test", stdin="k" * 16, code=1).stderr


def test_commands_report_what_is_missing(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "bridge", collector_url=f"http://127.0.0.1:{free_port()}", intakes={"all": {}})
    for words in (["spool", "list"], ["quarantine", "list"], ["unrouted", "reroute"], ["drain"], ["reload"]):
        assert "the bridge has never run" in cli(bridge, *words, code=1).stderr
    bridge.start()
    try:
        output = cli(bridge, "replay", "--intake", "all", "--from", "2026-01-01", "--to", "2026-01-02", "--yes", code=1)
        assert "spool.archive: is not configured" in output.stderr
        assert "not in the configuration" in cli(bridge, "spool", "move", "--intake", "all", "--to", "x", code=1).stderr
        assert "is not an address" in cli(bridge, "unrouted", "reroute", "--source", "nonsense", code=1).stderr
        for path in ("/control/reload", "/control/spool-purge"):
            # Nothing can be changed over TCP, only over the control socket.
            assert bridge.get(path)[0] == 404
        help_text = subprocess.run([SYSLOG_BRIDGE, "spool", "purge", "--help"], capture_output=True, text=True).stdout
        assert "Example:" in help_text
    finally:
        bridge.stop()


@pytest.mark.long
def test_replay_delivers_an_hour_with_exact_times(tmp_path: Path) -> None:
    """3,600 seconds with three events each: the exact set, each event with its own second."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    archive = {"directory": str(tmp_path / "bridge" / "spool"), "archive": {"max_size": "1GB", "max_age": "7d"}}
    with running(tmp_path, spool=archive) as (collector, bridge):
        deliver_events(bridge, collector, start, 3600 + 600)
        before = len(collector.arrived)
        period = ["--from", start.isoformat(), "--to", (start + timedelta(hours=1)).isoformat()]
        assert (
            "10,800 events are queued for delivery again"
            in cli(bridge, "replay", "--intake", "all", *period, "--yes").stdout
        )
        arrived = collector.wait_for(before + 10_800)[before:]
        bridge.wait_drained()
        assert sorted(int(event.text.rpartition(" ")[2]) for event in arrived) == list(range(10_800))
        for event in arrived:
            assert event.time == start + timedelta(seconds=int(event.text.rpartition(" ")[2]) // 3)
        ledger = bridge.ledger()
        assert (ledger["replayed"], ledger["delivered"]) == (10_800, before + 10_800)
