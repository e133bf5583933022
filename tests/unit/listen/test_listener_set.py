"""Tests the listener set: listeners are opened together or not at all, and a reload keeps or replaces them."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred

from bridge.config import Config, Listener, parse_text
from bridge.listen.listener_set import DRAIN_WITHIN, ListenerSet
from bridge.listen.sockets import ListenError
from tests.harness.strict_clock import StrictClock


class FakeListener:
    """A listener that records the calls it gets."""

    made: list[FakeListener]

    def __init__(self, listener: Listener, bound: socket.socket, listener_context: Any) -> None:
        self.listener, self.bound, self.context = listener, bound, listener_context
        self.started = self.accepting = self.closed = self.shared = self.connected = False
        self.refused: Counter[str] = Counter()
        self.kernel_drops = 0
        FakeListener.made.append(self)

    @property
    def port(self) -> int:
        port: int = self.bound.getsockname()[1]
        return port

    def start(self) -> None:
        self.started = self.accepting = True

    def prepare_change(self, listener: Listener, listener_context: Any) -> Callable[[], None]:
        def apply() -> None:
            self.listener, self.context = listener, listener_context

        return apply

    def check_idle(self) -> None:
        pass

    async def stop_accepting(self) -> None:
        self.accepting = False

    def watch(self, on_read: Callable[[], None]) -> None:
        self.on_read = on_read

    def close(self, *, shared: bool) -> Deferred[None]:
        self.closed, self.shared = True, shared
        self.bound.close()
        self.ended: Deferred[None] = Deferred()
        if not self.connected:
            self.ended.callback(None)
        return self.ended


class ListenerSetFixture:
    def __init__(self, directory: Path) -> None:
        self.directory, self.clock = directory, StrictClock()
        pipeline: Any = object()
        peers: Any = self
        self.get = None
        kinds: Any = dict.fromkeys(("udp", "tcp", "relp", "unix_stream"), FakeListener)
        self.listeners = ListenerSet(
            self.config("a: udp", "b: tcp"), reactor=self.clock, pipeline=pipeline, peers=peers,
            commit=lambda done: done(None), kinds=kinds,
        )  # fmt: skip

    def config(self, *listeners: str, **changes: int) -> Config:
        """Returns a configuration of listeners `NAME: KIND`; the kernel chooses ports that are not given. The
        file of a Unix socket has its name."""
        rows = []
        for listener in listeners:
            name, kind = listener.split(": ")
            address = self.directory / name if kind.startswith("unix") else f"127.0.0.1:{changes.get(name, 0)}"
            rows.append(f'{{name: {name}, {kind}: "{address}"}}')
        return parse_text(
            f"collector: {{region: FRA1}}\nlisteners: [{', '.join(rows)}]\n"
            f"intakes: {{fw: {{intake_key: {'k' * 16}}}}}\n"
            f"unrouted: {{intake: fw}}\nspool: {{directory: {self.directory}}}\n",
            "bridge.yaml",
        )

    def apply(self, config: Config) -> list[object]:
        """Prepares and applies a configuration. Returns the result, once the removed listeners are closed."""
        results: list[object] = []
        self.listeners.apply(self.listeners.prepare(config)).addBoth(results.append)
        self.clock.pump([0.1] * 10)
        return results


@pytest.fixture
def fixture(tmp_path: Path) -> Iterator[ListenerSetFixture]:
    FakeListener.made = []
    yield ListenerSetFixture(tmp_path)
    for made in FakeListener.made:
        made.bound.close()


def test_all_listeners_are_started_with_bound_sockets(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    assert [made.started for made in FakeListener.made] == [True, True]
    ports = fixture.listeners.ports()
    assert set(ports) == {"a", "b"}
    assert all(ports.values())
    assert fixture.listeners.names() == [f"a (udp port {ports['a']})", f"b (tcp port {ports['b']})"]


def test_no_listener_stays_open_if_one_port_is_taken(fixture: ListenerSetFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = fixture.config("a: udp", "b: tcp", b=taken.getsockname()[1])
        with pytest.raises(ListenError, match=r"listener b: tcp port .* is in use by ") as failed:
            fixture.listeners.prepare(config)
    assert failed.value.hint == "Stop that process, or use another port."
    assert [made.closed for made in FakeListener.made] == [True]


def test_reload_keeps_the_socket_of_an_unchanged_address(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    before = fixture.listeners.ports()
    assert fixture.apply(fixture.config("a: udp", "b: tcp")) == [None]
    assert fixture.listeners.ports() == before
    assert len(FakeListener.made) == 2


def test_reload_opens_new_listeners_and_closes_removed_ones(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    a, b = FakeListener.made
    assert fixture.apply(fixture.config("b: tcp", "c: relp")) == [None]
    assert list(fixture.listeners.ports()) == ["b", "c"]
    assert (a.closed, b.closed) == (True, False)
    assert FakeListener.made[-1].started


def test_removed_listener_stops_accepting_before_it_is_closed(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    _, b = FakeListener.made
    fixture.listeners.apply(fixture.listeners.prepare(fixture.config("a: udp")))
    assert not b.accepting
    assert not b.closed
    fixture.clock.pump([0.1] * 10)
    assert b.closed


def test_listener_of_another_kind_at_the_same_address_takes_over_the_socket(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    _, b = FakeListener.made
    port = b.port
    # The address in the configuration is the same, `127.0.0.1:0`; only the kind has changed.
    assert fixture.apply(fixture.config("a: udp", "b: relp")) == [None]
    assert fixture.listeners.ports()["b"] == port
    assert (b.closed, b.shared) == (True, True)


def test_failed_preparation_leaves_the_open_listeners(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError):
        fixture.listeners.prepare(fixture.config("c: relp", "a: udp", "b: tcp", "d: tcp", d=taken.getsockname()[1]))
    a, b, *new = FakeListener.made
    assert (a.closed, b.closed) == (False, False)
    assert new
    assert all(made.closed for made in new)


def test_drops_of_a_closed_udp_listener_stay_counted(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    FakeListener.made[0].kernel_drops = 7
    assert fixture.listeners.kernel_drops() == {"a": 7}
    fixture.apply(fixture.config("b: tcp"))
    assert fixture.listeners.kernel_drops() == {"a": 7}


def test_rejections_are_listed_by_listener_and_reason(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    FakeListener.made[1].refused["allow"] += 3
    assert fixture.listeners.refused() == {"a": 0, "b": 3}
    assert fixture.listeners.rejections() == {"b": {"allow": 3}}


def test_close_drains_until_no_data_arrives(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    results: list[object] = []
    ensureDeferred(fixture.listeners.close()).addBoth(results.append)
    for _ in range(3):
        fixture.clock.advance(0.09)
        FakeListener.made[0].on_read()
        assert not FakeListener.made[0].closed
    # Two of its looks at the sockets, at most.
    fixture.clock.pump([0.05] * 5)
    assert results == [None]
    assert fixture.listeners.ports() == {}


def test_close_stops_draining_although_data_still_arrives(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    results: list[object] = []
    ensureDeferred(fixture.listeners.close()).addBoth(results.append)
    while not FakeListener.made[0].closed:
        fixture.clock.advance(0.05)
        FakeListener.made[1].on_read()
    assert fixture.clock.seconds() == pytest.approx(DRAIN_WITHIN, abs=0.2)
    assert results == [None]
    assert fixture.clock.getDelayedCalls() == []


@pytest.mark.parametrize("ends", [True, False])
def test_close_waits_for_connections_to_end(fixture: ListenerSetFixture, ends: bool) -> None:
    """Connections that do not end delay the close for a limited time only."""
    fixture.listeners.open()
    FakeListener.made[1].connected = True
    results: list[object] = []
    ensureDeferred(fixture.listeners.close()).addBoth(results.append)
    fixture.clock.advance(0.2)
    assert (FakeListener.made[1].closed, results) == (True, [])
    if ends:
        FakeListener.made[1].ended.callback(None)
    else:
        fixture.clock.advance(DRAIN_WITHIN + 0.5)
    fixture.clock.advance(0)
    assert results == [None]
    assert fixture.clock.getDelayedCalls() == []


def test_connections_get_their_time_to_end_also_after_a_pause_of_the_process(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    FakeListener.made[1].connected = True
    results: list[object] = []
    ensureDeferred(fixture.listeners.close()).addBoth(results.append)
    fixture.clock.advance(DRAIN_WITHIN + 5)
    fixture.clock.advance(0.4)
    assert (FakeListener.made[1].closed, results) == (True, [])
    FakeListener.made[1].ended.callback(None)
    fixture.clock.advance(0)
    assert results == [None]
    assert fixture.listeners.ports() == {}


def test_socket_file_that_cannot_be_removed_keeps_no_listener_open(fixture: ListenerSetFixture) -> None:
    fixture.apply(fixture.config("local: unix_stream", "a: udp"))
    path = fixture.directory / "local"
    path.unlink()
    path.mkdir()
    results: list[object] = []
    ensureDeferred(fixture.listeners.close()).addBoth(results.append)
    fixture.clock.pump([0.1] * 3)
    assert results == [None]
    assert all(made.closed for made in FakeListener.made)


def test_what_arrives_while_the_process_stands_still_is_read_before_the_close(fixture: ListenerSetFixture) -> None:
    fixture.listeners.open()
    results: list[object] = []
    ensureDeferred(fixture.listeners.close()).addBoth(results.append)
    # The reactor calls the timers first, then it reads the sockets.
    fixture.clock.callLater(DRAIN_WITHIN, FakeListener.made[1].on_read)
    fixture.clock.advance(DRAIN_WITHIN + 5)
    assert (FakeListener.made[1].closed, results) == (False, [])
    fixture.clock.advance(0.1)
    assert results == [None]
