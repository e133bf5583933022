"""Keeps the state of each sender: its routing profile, computed once, and its counters, updated once per read.

A sender takes about 1.1 KB, and with its latest messages (``message_samples``) 2.3 KB besides their text. At most
``Peers.MOST`` senders are known, and a sender that ``sources:`` does not name is forgotten after ``IDLE_MS``.
"""

import re
from weakref import WeakSet

from bridge.ingest.addresses import address_of
from bridge.ingest.clock_skew import SourceClock
from bridge.ingest.sent_volume import SentVolume
from bridge.ingest.unrouted_history import UnroutedHistory
from bridge.ingest.unsent_data import UnsentData, unsent_data
from bridge.routing import Disposition, Profile, Router
from bridge.syslog import parser
from bridge.syslog.grammar import Header
from bridge.syslog.sequence_numbers import Gaps
from bridge.syslog.time_zones import zone_of
from bridge.syslog.timestamps import TimeReader, fraction_ms
from bridge.util.token_bucket import TokenBucket

_UNDECIDED = Profile(())
_YEAR = re.compile(rb"[0-9]{4}")
"A year in a timestamp's text, or seconds since 1970, which imply the year."
_LONGEST_NAME = 255
"Bytes kept of a host name behind a relay."

IDLE_MS = 7 * 86_400_000
"Milliseconds of silence after which a sender without an entry in ``sources:`` is forgotten."
EXPIRE_EVERY = 600.0
"Seconds between two checks for idle senders."
SAMPLE_MS = 1000
"Shortest time between two samples of a sender, in milliseconds."
SAMPLES_PER_SECOND = 900
"""Most samples of all senders. A sample costs as much as reading ten messages, so with more senders each is sampled
less often."""
EXTRA_PER_SECOND = 100
"Most further messages of all senders that are examined because a sender's messages may have changed."
SAMPLED_BYTES = 512
"Bytes of a sample that are parsed for its shape and time."
RATE_MS = 5000
"Milliseconds over which a rate is measured."

PeerKey = tuple[str, str, tuple[str, ...], str]
"Listener, address as the socket gives it, names in the client's certificate, and the host name behind a relay or ''."


class Peer:
    """Holds the state of one sender at one listener."""

    __slots__ = (
        "__weakref__", "_peers", "address", "alert_if_silent_for", "apart", "bucket", "clock", "decided", "encoded",
        "events", "gaps", "intake", "key", "keyed", "last_seen_ms", "limited", "listed", "listener", "mergeable",
        "name", "names", "outside", "profile", "rate", "rate_below", "rate_events", "rate_ms", "relay",
        "relay_address", "route", "sampled", "shape", "unrouted", "unrouted_history", "unsent_data", "volume",
    )  # fmt: skip

    def __init__(self, key: PeerKey, address: str, peers: "Peers", relay_address: str | None = None) -> None:
        self.key = key
        self.listener = key[0]
        self.names = key[2]
        "The names in its client certificate."
        self.address = address
        self.relay_address = relay_address
        "The address of the relay whose messages name this source; None if it sends directly."
        self.bucket: TokenBucket | None = None
        "Its rate limit, or None."
        self.limited = 0
        "Events dropped by the rate limit."
        self.gaps: Gaps | None = None
        "Gaps in its message numbers; None if it is not configured to write them."
        self.encoded = address.encode("ascii", "replace") or b"-"
        self._peers = peers
        self.unrouted_history: UnroutedHistory | None = None
        self.decide()
        self.events = 0
        self.last_seen_ms = 0
        self.clock: SourceClock | None = None
        "Its clock offsets; None before the first message with a timestamp."
        self.shape = ""
        "The message shape of the latest sample."
        self.sampled = 0
        self.rate = 0.0
        self.rate_events = self.rate_ms = 0
        self.outside = 0
        "Events whose timestamp was out of range."
        self.volume = SentVolume()
        self.unrouted = 0
        "Frames that no route matched."
        self.keyed = 0
        "Frames that had an intake key in their text."
        self.unsent_data: UnsentData | None = None
        "Structured data of a sampled message that its event does not have."

    @property
    def client(self) -> str | None:
        """Returns the first name in the sender's client certificate, or None."""
        return self.names[0] if self.names else None

    def keyed_disposition(self, intake: str) -> Disposition:
        """Returns the disposition of events that the sender addresses to an intake by its key (HTTPS)."""
        return self._peers.router.keyed_disposition(self.listener, intake)

    def decide(self) -> None:
        """Computes everything that does not depend on a message; repeated under each new configuration."""
        self.decided = True
        router, address = self._peers.router, address_of(self.relay_address or self.address)
        host = self.address if self.relay_address else None
        profile = router.profile(self.listener, address, self.names, host)
        self.profile = profile
        known = router.known(address, host)
        self.name, self.relay, self.listed = known.name, known.relay, known.listed
        self.alert_if_silent_for, self.rate_below = known.alert_if_silent_for, known.rate_below
        if (self.bucket.rate if self.bucket else None) != known.rate_limit:
            self.bucket = TokenBucket(known.rate_limit) if known.rate_limit else None
        if (self.gaps is not None) != known.detect_gaps:
            self.gaps = Gaps() if known.detect_gaps else None
        read_alone = self.relay or self.relay_address or self.bucket or self.gaps
        constant = profile.constant
        self.mergeable = (
            not read_alone
            and constant is not None
            and constant.kind in ("deliver", "drop")
            and constant.payload not in ("line", "rfc5424", "json")
        )
        "True if its frames may be read together with those of other peers, because no event depends on the peer."
        self.apart = False
        "True if its frames are read apart from those of other peers all the same, so that its times are counted."
        self.route = constant.route if constant else None
        self.intake = constant.intake if constant else None
        "The intake of its frames; if it depends on the frame, the intake of the latest ones."
        if self.unrouted_history is not None:
            self.unrouted_history.apply_reload(self.unrouted, self.events, self._peers.changed_ms)

    def relayed_source(self, hostname: bytes) -> "Peer":
        """Returns the source that a message of this relay names, or the relay itself if it names none."""
        return self._peers.relayed_source(self, hostname)

    def forget(self) -> None:
        """Drops the routing profile, so that the old routes can be freed."""
        self.decided = False
        self.profile = _UNDECIDED
        self.unsent_data = None

    @property
    def clock_offset(self) -> float | None:
        """Returns the latest clock offset in seconds, positive if the sender's clock is ahead of the gateway's."""
        return None if self.clock is None else self.clock.offset

    def note_read(self, count: int, now_ms: int) -> bool:
        """Counts the events of a read. Returns True if ``sample`` is due."""
        self.events += count
        self.last_seen_ms = now_ms
        return not 0 <= now_ms - self.sampled < self._peers.sample_ms

    def not_seen_after(self, now_ms: int) -> None:
        """Counts the silence from now if the last message came while the clock was ahead."""
        self.last_seen_ms = min(self.last_seen_ms, now_ms)

    def note_blank(self, count: int) -> None:
        """Takes back blank frames that ``note_read`` has counted. A health check that sends a line end is no source."""
        self.events -= count
        if not self.events:
            self.last_seen_ms = 0

    def note_limited(self, count: int, now_ms: int) -> None:
        """Counts events that the rate limit has dropped."""
        self.events += count
        self.limited += count
        self.last_seen_ms = now_ms

    def note_routed(self, route: str | None, intake: str | None) -> None:
        """Records the route and the intake of the latest frames."""
        self.route, self.intake = route, intake

    def note_outside(self, count: int) -> None:
        """Counts events whose timestamp was out of range."""
        self.outside += count

    def note_unrouted(self, count: int) -> None:
        """Counts frames that no route matched."""
        self.unrouted += count
        self.unrouted_history = self.unrouted_history or UnroutedHistory()
        self.unrouted_history.note(self.last_seen_ms)

    @property
    def is_unrouted(self) -> bool:
        """Returns True if frames match no route under the configuration in use, as far as that is known."""
        history = self.unrouted_history
        if not self.unrouted or history is None:
            return self.unrouted > 0
        return history.is_unrouted(self.unrouted, self.events, self.profile.constant)

    def note_keyed(self, count: int) -> None:
        """Counts frames that had an intake key in their text."""
        self.keyed += count

    def read_alone(self) -> None:
        """Reads the frames apart from those of other peers from now on."""
        self.apart = True

    def sample(self, frame: bytes, now_ms: int, reader: TimeReader) -> Header:
        """Updates the event rate, and the message shape and clock offset from one frame. Returns its header."""
        self.sampled = now_ms
        self._peers.keep(self)
        self.volume.sample(len(frame), self.events)
        self.measure(now_ms)
        parts = parser.read(frame[:SAMPLED_BYTES])
        self.shape = parts.shape if frame else self.shape
        self.unsent_data = (
            unsent_data(frame, parts, self.profile, self.unsent_data, examined=SAMPLED_BYTES) or self.unsent_data
        )
        if parts.second and (zone := self.profile.rules[0].disposition.zone) is not None:
            ms = reader.second_ms(parts.second, parts.offset, zone, now_ms)
            if ms is not None:
                self.clock = self.clock or SourceClock()
                self.clock.note(
                    (ms + fraction_ms(parts.fraction) - now_ms) / 1000, now_ms=now_ms, zone=zone,
                    has_zone=_names_zone(parts.second, parts.offset), has_year=_YEAR.search(parts.second) is not None,
                )  # fmt: skip
        return parts

    def sample_soon(self, after_ms: int) -> None:
        """Makes the next sample due so many milliseconds after the last, however many senders there are."""
        self.sampled -= max(0, self._peers.sample_ms - after_ms)

    def measure(self, now_ms: int) -> None:
        """Updates the event rate. Called about once per second while the peer sends."""
        passed = now_ms - self.rate_ms
        if passed >= RATE_MS or passed < 0:
            self.rate = (self.events - self.rate_events) * 1000 / passed if self.rate_ms and passed > 0 else 0.0
            self.rate_events, self.rate_ms = self.events, now_ms

    def rate_at(self, now_ms: int) -> float:
        """Returns the recent rate in events per second. It falls to 0 while the peer is silent."""
        passed = now_ms - self.rate_ms
        if passed < 0:
            # The clock was set back. The next sample begins a new measurement.
            return 0.0
        if passed <= 2 * RATE_MS and self.rate:
            return self.rate
        return (self.events - self.rate_events) * 1000 / max(passed, 1000) if self.rate_ms else 0.0


class Peers:
    """Holds the senders of all listeners, in bounded memory because source addresses can be forged."""

    MOST = 50_000

    def __init__(self, router: Router) -> None:
        self.router = router
        self._evicted: WeakSet[Peer] = WeakSet()
        "Peers that are no longer known, but may still be connected."
        self._known: dict[PeerKey, Peer] = {}
        self.sample_ms = SAMPLE_MS
        "Shortest time between two samples of a peer."
        self.forgotten = 0
        "Peers that were removed because there were too many."
        self.expired = 0
        "Peers that were removed because they had been idle."
        self.changed_ms = 0
        "Time of the latest reload, 0 before the first one."

    def get(self, listener: str, host: str, client: tuple[str, ...] = ()) -> Peer:
        """Returns the peer of a listener, an address as the socket gives it, and the names in its certificate."""
        peer = self._known.get((listener, host, client, ""))
        if peer is None:
            address = address_of(host)
            text = str(address) if address else host
            peer = self._add((listener, host, client, ""), host if text == host else text)
        elif not peer.decided:
            peer.decide()
        return peer

    def relayed_source(self, relay: Peer, hostname: bytes) -> Peer:
        """Returns the source that a message of a relay names, or the relay itself if it names none."""
        if not hostname:
            return relay
        name = hostname[:_LONGEST_NAME].decode("utf-8", "replace")
        key = (relay.listener, relay.address, relay.names, name)
        peer = self._known.get(key)
        if peer is None:
            peer = self._add(key, name, relay.address)
        elif not peer.decided:
            peer.decide()
        return peer

    def change(self, router: Router, now_ms: int = 0) -> None:
        """Replaces the router. Each peer is decided again when it next sends; all at once would take too long."""
        self.router, self.changed_ms = router, now_ms
        for peer in (*self._known.values(), *self._evicted):
            peer.forget()

    def all(self) -> list[Peer]:
        """Returns every known peer."""
        return list(self._known.values())

    def keep(self, peer: Peer) -> None:
        """Makes a peer known again that was removed while its connection was open. Called when it sends."""
        if peer.key not in self._known:
            self._make_room()
            self._evicted.discard(peer)
            self._known[peer.key] = peer
            self._set_sample_ms()

    def expire(self, now_ms: int, *, settled: bool = True) -> None:
        """Removes the peers that have been silent for ``IDLE_MS``, except those that ``sources:`` names.

        A peer that never sent anything, such as a health check, is removed at once, and the others only if the clock is
        ``settled``: a clock that is wrong makes every peer look silent.
        """
        for key, peer in list(self._known.items()):
            if peer.last_seen_ms and (not settled or now_ms - peer.last_seen_ms < IDLE_MS):
                continue
            if not peer.decided:
                peer.decide()
            if not peer.listed:
                self._evicted.add(self._known.pop(key))
                self.expired += 1
        self._set_sample_ms()

    def _add(self, key: PeerKey, address: str, relay_address: str | None = None) -> Peer:
        self._make_room()
        peer = self._known[key] = Peer(key, address, self, relay_address)
        self._set_sample_ms()
        return peer

    def _set_sample_ms(self) -> None:
        self.sample_ms = max(SAMPLE_MS, len(self._known) * 1000 // SAMPLES_PER_SECOND)

    def _make_room(self) -> None:
        if len(self._known) >= self.MOST:
            self._evict()

    def _evict(self) -> None:
        """Removes a tenth of the peers: those with the fewest events, and among them those silent for longest.

        Forged addresses send few events. Peers that ``sources:`` names are removed last.
        """
        order = sorted(self._known, key=lambda key: ((peer := self._known[key]).listed, peer.events, peer.last_seen_ms))
        for key in order[: self.MOST // 10]:
            self._evicted.add(self._known.pop(key))
            self.forgotten += 1


def _names_zone(second: bytes, offset: bytes) -> bool:
    """Returns True if a timestamp means the same instant in every zone. An unknown zone name does not count."""
    return second.isdigit() or (bool(offset) and zone_of(offset) is not None)
