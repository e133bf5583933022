"""Tests UDP and TCP with a real pipeline and spool: the file contents and the counters."""

import socket
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from bridge.accounting import Ledger
from bridge.batching import GroupLimits, Window
from bridge.config import Listener
from bridge.ingest.addresses import address_of
from bridge.ingest.disposition_writer import DispositionWriter
from bridge.ingest.peers import Peers
from bridge.listen.datagram_reader import MOST_BYTES, MOST_DATAGRAMS
from bridge.listen.listener import ListenerContext
from bridge.listen.sockets import grow_receive_buffer
from bridge.listen.tcp_connection import SyslogFactory
from bridge.listen.udp import UdpListener
from bridge.routing import Router
from bridge.syslog.frames import block_of
from bridge.syslog.framing import IDLE_REPORTS
from bridge.syslog.reader import Reader
from bridge.syslog.timestamps import milliseconds
from bridge.util import rewriter
from tests.harness.builders import build_pipeline, build_spool

NOON = 1_795_435_200
"23 November 2026"


@dataclass
class Route:
    name: str
    intake: str | None
    source: tuple = ()
    listener: tuple = ()
    client_name: tuple = ()
    hostname: tuple = ()
    app_name: tuple = ()
    procid: tuple = ()
    msgid: tuple = ()
    facility: tuple = ()
    min_severity: int | None = None
    max_severity: int | None = None
    message: object = None
    except_: object = None
    payload: str | None = None
    timestamp: str | None = None
    timezone: object = None
    mirror_to: tuple = ()


@dataclass
class Intake:
    payload: str | None = None
    encoding: str = "auto"
    timestamp: str | None = None
    format: str | None = None
    endpoint: str = "/plain/batch"


@dataclass
class Unrouted:
    kind: str = "hold"
    intake: str | None = None


@dataclass
class Bridge:
    directory: object
    routes: list
    truncate: bool = False
    window: Window = field(default_factory=lambda: Window(None, None))
    mirror: object = None

    def __post_init__(self):
        self.clock = Clock()
        self.ledger = Ledger()
        self.errors = []
        self.spool = build_spool(self.directory, wall=self.wall, clock=self.clock.seconds)
        router = Router(
            routes=self.routes, intakes={"a": Intake(), "b": Intake("line"), "raw": Intake("raw")},
            listeners={"udp": None, "tcp": None}, unrouted=Unrouted(), timezone=UTC,
        )  # fmt: skip
        self.peers = Peers(router)
        self.pipeline = build_pipeline(
            self.spool, self.ledger, wall=self.wall, limits=GroupLimits(window=self.window),
            truncate=self.truncate, on_error=self.errors.append, mirror=self.mirror,
        )  # fmt: skip

    def wall(self):
        return NOON + self.clock.seconds()

    def events(self, intake):
        folder = self.directory / intake
        found = []
        for path in sorted(folder.iterdir()) if folder.exists() else []:
            found += path.read_bytes().split(b"\n")[:-1]
        return found

    def check(self, **columns):
        """Asserts the ledger exactly; columns that are not given are 0."""
        assert self.ledger.imbalance == 0
        columns_now = self.ledger.columns()
        assert {name: value for name, value in columns_now.items() if value} == columns


@pytest.fixture
def make_bridge(tmp_path):
    return lambda *routes, **options: Bridge(tmp_path / "spool", list(routes) or [Route("all", "a")], **options)


class Reactor(Clock):
    def addReader(self, reader):
        pass

    removeReader = addReader


class Udp:
    """A UDP listener on a real socket, which the test drains, and its senders."""

    def __init__(self, bridge, *, allow=None, max_frame_size=250 * 1024, **options):
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.granted = grow_receive_buffer(bound, 8_000_000)
        bound.bind(("127.0.0.1", 0))
        self.reader = UdpListener(
            Listener.model_construct(name="udp", receive_buffer=4096, allow=allow), bound,
            ListenerContext(Reactor(), bridge.pipeline, bridge.peers.get, max_frame_size), **options,
        )  # fmt: skip
        self.senders = {}

    def send(self, *datagrams, host="127.0.0.1"):
        if host not in self.senders:
            self.senders[host] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.senders[host].bind((host, 0))
        for datagram in datagrams:
            self.senders[host].sendto(datagram, ("127.0.0.1", self.reader.port))

    def close(self):
        self.reader.close(shared=False)
        for sender in self.senders.values():
            sender.close()


@pytest.fixture
def make_udp():
    made = []

    def make(bridge, **options):
        made.append(Udp(bridge, **options))
        return made[-1]

    yield make
    for udp in made:
        udp.close()


# --- UDP ------------------------------------------------------------------------------------------------------------


def test_drain_is_one_read(make_bridge, make_udp):
    bridge = make_bridge()
    udp = make_udp(bridge)
    udp.send(*(b"<13>Nov 23 12:00:0%d gw app[7]: event %d" % (i, i) for i in range(5)))
    udp.send(b"<13>plain", b"<13>trailer\r\n\0", b"", b" \0\n", b"<13>two\nlines")
    assert udp.reader.drain_once() == 10
    assert sorted(bridge.events("a")) == sorted(
        [*(b"event %d" % i for i in range(5)), b"plain", b"trailer", b"two#012lines"]
    )
    bridge.check(received=8, spooled=8)
    assert bridge.pipeline.read_counts.by_listener == {"udp": 8}
    assert udp.reader.drain_once() == 0


def test_drain_is_bounded(make_bridge, make_udp):
    bridge = make_bridge()
    udp = make_udp(bridge)
    if udp.granted < 4_000_000:
        pytest.skip("net.core.rmem_max is too small for 2,500 datagrams, and this user may not pass it")
    udp.send(*[b""] * (MOST_DATAGRAMS + 76))
    assert udp.reader.drain_once() == MOST_DATAGRAMS
    while udp.reader.drain_once():
        pass
    udp.send(*[b"<13>" + b"x" * 60_000] * 40)
    assert udp.reader.drain_once() == MOST_BYTES // 60_004 + 1
    while udp.reader.drain_once():
        pass
    bridge.check(received=40, spooled=40)


def test_peers_with_the_same_profile_are_read_together(make_bridge, make_udp, monkeypatch):
    bridge = make_bridge(Route("b", "b", source=(ip_network("127.0.0.9/32"),)), Route("all", "a"))
    reads = []
    route = DispositionWriter.route
    monkeypatch.setattr(DispositionWriter, "route", lambda *args: reads.append(args[3].count) or route(*args))
    udp = make_udp(bridge)
    for i in range(1, 6):
        udp.send(b"<13>Nov 23 12:00:00 gw app: %d" % i, host=f"127.0.0.{i}")
    udp.send(b"<13>Nov 23 12:00:00 - app: nine", host="127.0.0.9")
    udp.reader.doRead()
    assert sorted(reads) == [1, 5]
    assert sorted(bridge.events("a")) == [b"1", b"2", b"3", b"4", b"5"]
    assert bridge.events("b") == [b"2026-11-23T12:00:00.000Z 127.0.0.9 app: nine"]
    assert {peer.address: peer.events for peer in bridge.peers.all()} == {
        **{f"127.0.0.{i}": 1 for i in range(1, 6)}, "127.0.0.9": 1
    }  # fmt: skip
    bridge.check(received=6, spooled=6)


def test_payload_with_the_peer_names_the_right_peer(make_bridge, make_udp):
    bridge = make_bridge(Route("b", "b"))
    udp = make_udp(bridge)
    for i in (1, 2):
        udp.send(b"<13>text %d" % i, host=f"127.0.0.{i}")
    udp.reader.doRead()
    assert sorted(bridge.events("b")) == [b"2026-11-23T12:00:00.000Z 127.0.0.%d text %d" % (i, i) for i in (1, 2)]


def test_datagram_above_max_frame_size_is_quarantined(make_bridge, make_udp):
    bridge = make_bridge()
    udp = make_udp(bridge, max_frame_size=100)
    udp.send(b"<13>" + b"x" * 96, b"<13>" + b"y" * 97, b"<13>z")
    udp.reader.doRead()
    assert sorted(bridge.events("a")) == [b"x" * 96, b"z"]
    bridge.check(received=3, spooled=2, quarantined=1)
    (path,) = (bridge.directory / ".quarantine/oversize").iterdir()
    assert b"frame of 101 bytes is longer than max_frame_size" in path.read_bytes()


def test_datagram_above_max_frame_size_is_truncated_if_configured(make_bridge, make_udp):
    bridge = make_bridge(truncate=True)
    udp = make_udp(bridge, max_frame_size=100)
    udp.send(b"<13>" + b"y" * 200)
    udp.reader.doRead()
    assert bridge.events("a") == [b"y" * 96]
    assert bridge.pipeline.read_counts.truncated.total() == 1
    bridge.check(received=1, spooled=1)


@pytest.mark.parametrize("valid_count", [0, 3])
def test_datagram_truncated_by_the_kernel_is_quarantined(make_bridge, make_udp, valid_count):
    bridge = make_bridge()
    udp = make_udp(bridge, longest=100)
    udp.send(*[b"<13>" + b"x" * 96] * valid_count, b"<13>" + b"y" * 97)
    udp.reader.doRead()
    assert bridge.events("a") == [b"x" * 96] * valid_count
    assert bridge.ledger.of(None).quarantined == 1
    assert bridge.ledger.imbalance == 0


def test_datagrams_of_peers_that_are_not_allowed_are_refused(make_bridge, make_udp):
    bridge = make_bridge()
    udp = make_udp(bridge, allow=(ip_network("127.0.0.3/32"),))
    udp.send(b"<13>no", host="127.0.0.2")
    udp.send(b"<13>yes", host="127.0.0.3")
    udp.reader.doRead()
    assert (bridge.events("a"), udp.reader.refused.total(), len(bridge.peers.all())) == ([b"yes"], 1, 1)


def test_stop_reads_the_datagrams_in_the_kernel(make_bridge, make_udp):
    bridge = make_bridge()
    udp = make_udp(bridge)
    if udp.granted < 2_000_000:
        pytest.skip("net.core.rmem_max is too small for 2,000 datagrams, and this user may not pass it")
    udp.send(*[b"<13>x"] * 2000)
    udp.reader.close(shared=False)
    udp.reader.close(shared=False)
    bridge.check(received=2000, spooled=2000)


# --- TCP ------------------------------------------------------------------------------------------------------------


class Tcp:
    def __init__(self, bridge, **options):
        defaults = {"max_connections": 3, "max_connections_per_peer": 2}
        listener = Listener.model_construct(name="tcp", **defaults | options)
        self.factory = SyslogFactory(
            listener, ListenerContext(bridge.clock, bridge.pipeline, bridge.peers.get, max_frame_size=1000)
        )

    def connect(self, host="192.0.2.7"):
        address = (IPv6Address if ":" in host else IPv4Address)("TCP", host, 4000)
        protocol = self.factory.buildProtocol(address)
        if protocol is not None:
            protocol.makeConnection(StringTransport())
        return protocol


def lost(protocol):
    from twisted.internet.error import ConnectionDone
    from twisted.python.failure import Failure

    protocol.connectionLost(Failure(ConnectionDone()))


def test_frames_of_a_connection_are_spooled(make_bridge):
    bridge = make_bridge()
    connection = Tcp(bridge).connect()
    for chunk in (b"<13>Nov 23 12:00:00 gw app: on", b"e\n<13>Nov 23 12:00:00 gw app: two\n\n<13>tai", b"l"):
        connection.dataReceived(chunk)
    bridge.check(received=2, spooled=2)
    lost(connection)
    assert bridge.events("a") == [b"one", b"two", b"tail"]
    bridge.check(received=3, spooled=3)
    assert bridge.peers.get("tcp", "192.0.2.7").events == 3


def test_unfinished_octet_counted_frame_is_quarantined(make_bridge):
    bridge = make_bridge()
    connection = Tcp(bridge).connect()
    connection.dataReceived(b"7 <13>one12 <13>half")
    lost(connection)
    assert bridge.events("a") == [b"one"]
    bridge.check(received=2, spooled=1, quarantined=1)
    assert b"octet-counted frame" in next((bridge.directory / ".quarantine/damaged").glob("*.jsonl")).read_bytes()


def test_long_frame_is_quarantined_and_reading_continues(make_bridge):
    bridge = make_bridge()
    connection = Tcp(bridge).connect()
    connection.dataReceived(b"5 <13>ab\n5 <13>c" + b"<13>" + b"x" * 2000)
    connection.dataReceived(b"x\n5 <13>d")
    # The last frame is complete when nothing follows it.
    bridge.check(received=3, spooled=2, quarantined=1)
    lost(connection)
    assert bridge.events("a") == [b"ab", b"c", b"d"]
    bridge.check(received=4, spooled=3, quarantined=1)


def test_frame_that_ends_with_nul_is_taken_when_idle(make_bridge):
    bridge = make_bridge()
    tcp = Tcp(bridge)
    connection = tcp.connect()
    connection.dataReceived(b"<13>one\0")
    for _ in range(IDLE_REPORTS):
        tcp.factory.check_idle()
    bridge.check()
    tcp.factory.check_idle()
    bridge.check(received=1, spooled=1)
    assert bridge.events("a") == [b"one"]


def test_connections_are_bounded(make_bridge):
    tcp = Tcp(make_bridge())
    first = [tcp.connect("192.0.2.1"), tcp.connect("192.0.2.1")]
    assert tcp.connect("192.0.2.1") is None
    assert tcp.connect("192.0.2.2") is not None
    assert tcp.connect("192.0.2.3") is None
    assert tcp.factory.connections.rejections.counts == {"max_connections_per_peer": 1, "max_connections": 1}
    lost(first[0])
    assert tcp.connect("192.0.2.1") is not None


def test_connections_of_an_ipv4_mapped_peer_are_bounded(make_bridge):
    """A socket for both families gives IPv4 peers as ::ffff:192.0.2.1."""
    tcp = Tcp(make_bridge())
    assert [tcp.connect("::ffff:192.0.2.1") is not None for _ in range(3)] == [True, True, False]


def test_connections_of_peers_that_are_not_allowed_are_rejected(make_bridge):
    tcp = Tcp(make_bridge(), allow=(ip_network("198.51.100.0/24"),))
    assert tcp.connect() is None
    assert tcp.factory.connections.rejections.counts == {"not_in_allow": 1}
    assert tcp.connect("198.51.100.9") is not None


def test_tls_on_a_plain_port_is_rejected(make_bridge):
    bridge = make_bridge()
    tcp = Tcp(bridge)
    connection, other = tcp.connect(), tcp.connect("192.0.2.8")
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2
    connection.dataReceived(hello)
    assert connection.transport.disconnecting
    connection.dataReceived(hello)
    lost(connection)
    assert tcp.factory.connections.rejections.counts == {"tls_on_plain_port": 1}
    bridge.check()
    other.dataReceived(b"<13>Nov 23 12:00:00 gw app: one\n")
    bridge.check(received=1, spooled=1)


# --- pipeline -------------------------------------------------------------------------------------------------------


def test_frames_of_one_read_follow_their_routes(make_bridge):
    bridge = make_bridge(
        Route("noise", None, app_name=("cron",)),
        Route("web", "raw", hostname=("web-*",)),
        Route("db", "a", app_name=("pg",)),
    )
    peer = bridge.peers.get("udp", "192.0.2.7")
    frames = [
        b"<13>Nov 23 12:00:00 web-1 cron: n",
        b"<13>Nov 23 12:00:00 web-1 x: w",
        b"<13>Nov 23 12:00:00 db pg: d",
        b"<13>none",
    ]
    bridge.pipeline.take(peer, b"\n" + b"\n".join(frames))
    assert (bridge.events("raw"), bridge.events("a")) == ([frames[1]], [b"d"])
    bridge.check(received=4, spooled=2, filtered=1, quarantined=1)
    assert bridge.pipeline.read_counts.by_route == {"noise": 1, "web": 1, "db": 1, "unrouted": 1}


def test_failed_spool_write_drops_events_with_a_reason(make_bridge, monkeypatch):
    bridge = make_bridge()
    monkeypatch.setattr(
        "bridge.spool.store.write_whole", lambda *args: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    bridge.pipeline.take(bridge.peers.get("udp", "192.0.2.7"), b"\n<13>a\n<13>b")
    bridge.check(received=2, dropped={"spool_write_failed": 2})
    assert bridge.errors == ["spool: cannot write for intake a: No space left"]


def test_event_above_the_api_limit_is_quarantined(make_bridge):
    bridge = make_bridge()
    bridge.pipeline.take(bridge.peers.get("udp", "192.0.2.7"), b"\n<13>a\n<13>" + b"x" * (250 * 1024 + 1))
    bridge.check(received=2, spooled=1, quarantined=1)


def test_timestamps_out_of_range_are_counted_per_source(make_bridge, make_udp):
    bridge = make_bridge(window=Window(60_000, 60_000))
    udp = make_udp(bridge)
    for host, day in (("127.0.0.1", 22), ("127.0.0.2", 23)):
        udp.send(b"<13>Nov %d 12:00:00 gw app: x" % day, host=host)
    udp.reader.doRead()
    assert bridge.pipeline.read_counts.outside == 1
    assert {peer.address: peer.outside for peer in bridge.peers.all()} == {"127.0.0.1": 1, "127.0.0.2": 0}
    # From now on it is read alone, and its counter continues.
    udp.send(b"<13>Nov 22 12:00:00 gw app: x", host="127.0.0.1")
    udp.send(b"<13>Nov 23 12:00:00 gw app: x", host="127.0.0.2")
    udp.reader.doRead()
    assert {peer.address: peer.outside for peer in bridge.peers.all()} == {"127.0.0.1": 2, "127.0.0.2": 0}


def test_clock_offset_of_a_sender_is_measured(make_bridge):
    bridge = make_bridge()
    peer = bridge.peers.get("udp", "192.0.2.7")
    bridge.pipeline.take(peer, b"\n<13>Nov 23 12:00:07 gw app: x")
    assert peer.clock_offset == 7
    bridge.clock.advance(0.5)
    bridge.pipeline.take(peer, b"\n<13>Nov 23 11:00:00 gw app: x")
    assert peer.clock_offset == 7
    bridge.clock.advance(0.5)
    bridge.pipeline.take(peer, b"\n<13>Nov 23 11:59:58 gw app: x")
    assert peer.clock_offset == -3


# --- peers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"), ("", None), ("name", None), ("192.0.2", None),
    ],
)  # fmt: skip
def test_address_of_parses_hosts(host, address):
    assert address_of(host) == (None if address is None else address_of(address))
    assert address is None or str(address_of(host)) == address


def test_mapped_peers_are_routed_as_ipv4(make_bridge):
    bridge = make_bridge(Route("v4", "a", source=(ip_network("192.0.2.0/24"),)))
    peer = bridge.peers.get("tcp", "::ffff:192.0.2.7")
    assert (peer.address, peer.encoded, peer.profile.constant.route) == ("192.0.2.7", b"192.0.2.7", "v4")


def test_peers_are_bounded(make_bridge, monkeypatch):
    monkeypatch.setattr(Peers, "MOST", 100)
    peers = make_bridge().peers
    for i in range(1000):
        peers.get("udp", f"10.0.{i // 250}.{i % 250}")
        assert len(peers.all()) <= 100
    assert peers.forgotten + len(peers.all()) == 1000
    assert peers.get("udp", "10.0.3.249") is peers.get("udp", "10.0.3.249")


def test_any_reads_of_any_peers_are_counted_exactly(make_bridge, make_udp):
    import random

    chance = random.Random(7)
    bridge = make_bridge(
        Route("drop", None, app_name=("drop",)), Route("a", "a", hostname=("a*",)), Route("b", "b", hostname=("b*",))
    )
    udp = make_udp(bridge)
    connection = Tcp(bridge).connect()
    sent = Counter()
    for number in range(600):
        host, app = chance.choice([b"a1", b"b1", b"c1"]), chance.choice([b"x", b"drop"])
        frame = b"<13>Nov 23 12:00:0%d %b %b: %d" % (chance.randint(0, 3), host, app, number)
        sent["filtered" if app == b"drop" else host] += 1
        if chance.random() < 0.5:
            udp.send(frame, host=f"127.0.0.{chance.randint(1, 5)}")
        else:
            connection.dataReceived(frame + b"\n")
        if chance.random() < 0.1:
            udp.reader.doRead()
    udp.reader.doRead()
    bridge.check(
        received=600, spooled=sent[b"a1"] + sent[b"b1"], filtered=sent["filtered"], quarantined=sent[b"c1"]
    )  # fmt: skip
    assert (len(bridge.events("a")), len(bridge.events("b"))) == (sent[b"a1"], sent[b"b1"])
    assert bridge.pipeline.read_counts.by_listener.total() == 600


SCATTERED = [b"<%d>Nov 23 11:%02d:%02d gw app[7]: %d" % (i % 192, 40 + i % 16, i * 7 % 60, i) for i in range(300)]
LATER = [b"<13>Nov 23 11:58:%02d gw app: later %d" % (i % 60, i) for i in range(60)]


def event_of(frame):
    """Returns a frame's time, and its text as it is delivered."""
    stamp, _, text = frame.partition(b"gw app")
    moment = datetime.strptime(f"2026 {stamp.partition(b'>')[2].decode()}+0000", "%Y %b %d %H:%M:%S %z")
    text = text.partition(b": ")[2].replace(b"\xe9", "é".encode()).replace(b"\0", b"#000").replace(b"\r", b"#015")
    return milliseconds(moment), text


@pytest.mark.parametrize("library", [True, False])
@pytest.mark.parametrize("more", [b"", b"\xe9", b"\0\r", b"\t1\t"])
def test_random_clocks_keep_their_times_with_any_reader(make_bridge, monkeypatch, library, more):
    if not library:
        monkeypatch.setattr(rewriter, "load", lambda: None)
    bridge = make_bridge()
    reader = Reader()
    frames = [frame + more for frame in SCATTERED]
    mixed, old = [b"no header", *LATER], [b"<13>Nov 20 11:00:00 gw app: old", *frames]
    reads = [frames, frames, frames, LATER, frames, mixed, old]
    for read in reads:
        bridge.pipeline.take(bridge.peers.get("tcp", "192.0.2.7"), block_of(read), reader)
    count = sum(map(len, reads))
    bridge.check(received=count, spooled=count)
    rows = [line.partition(b"\t") for line in bridge.events("a")]
    assert sorted((int(ms), text) for ms, _, text in rows if text != b"no header") == sorted(
        event_of(frame) for read in reads for frame in read if frame != b"no header"
    )


def test_complete_counted_frame_is_taken_when_idle_and_when_the_gateway_stops(make_bridge):
    bridge = make_bridge()
    tcp = Tcp(bridge)
    connection = tcp.connect()
    connection.dataReceived(b"7 <13>one")
    bridge.check()
    tcp.factory.check_idle()
    tcp.factory.check_idle()
    bridge.check(received=1, spooled=1)
    connection.dataReceived(b"7 <13>two")
    tcp.factory.connections.closing = True
    lost(connection)
    bridge.check(received=2, spooled=2)
    assert bridge.events("a") == [b"one", b"two"]
