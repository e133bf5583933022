"""What is known of each sender: decided once, counted once a read."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from weakref import WeakSet

from bridge.ingest.clock_skew import SourceClock
from bridge.routing import Disposition, Profile, Router
from bridge.routing.conditions import Address
from bridge.syslog.fast.columns import ALWAYS
from bridge.syslog.sequence_numbers import Gaps
from bridge.util.token_bucket import TokenBucket

_TEXT = ALWAYS | {"text"}
_UNDECIDED = Profile(())
_LONGEST_NAME = 255
"Bytes of a host name behind a relay that are kept."

RATE_MS = 5000
"Milliseconds over which a rate is taken."


class Peer:
    """One sender at one listener."""

    __slots__ = (
        "__weakref__", "_peers", "address", "behind", "bucket", "clock", "decided", "encoded", "events", "expect",
        "gaps", "intake", "last_seen_ms", "limited", "listener", "mergeable", "name", "names", "outside", "profile",
        "rate", "rate_events", "rate_ms", "relay", "route", "sampled", "shape", "strippable", "unrouted",
    )  # fmt: skip

    def __init__(
        self, listener: str, address: str, peers: "Peers", names: tuple[str, ...] = (), behind: str | None = None
    ) -> None:
        self.listener = listener
        self.names = names
        "What its certificate calls it."
        self.address = address
        self.behind = behind
        "The address of the relay whose messages name it; None: it sends itself."
        self.bucket: TokenBucket | None = None
        "What it may send, where that is limited."
        self.limited = 0
        "Events that were more."
        self.gaps: Gaps | None = None
        "What its message numbers show, where it is known to write them."
        self.encoded = address.encode("ascii", "replace") or b"-"
        self._peers = peers
        self.decide()
        self.events = 0
        self.last_seen_ms = 0
        self.clock: SourceClock | None = None
        "What is known of its clock, once a message had a time."
        self.shape = ""
        "Of the message that was looked at last."
        self.sampled = 0
        self.rate = 0.0
        self.rate_events = self.rate_ms = 0
        self.outside = 0
        "Events whose time was not believed."
        self.unrouted = 0
        "Frames that no route matched."

    @property
    def client(self) -> str | None:
        """What its certificate calls it first."""
        return self.names[0] if self.names else None

    def posted(self, intake: str) -> Disposition:
        """What becomes of events that it has made for an intake."""
        return self._peers.router.posted(self.listener, intake)

    def decide(self) -> None:
        """Decide what can be decided before it sends; anew under each configuration."""
        self.decided = True
        router, address = self._peers.router, address_of(self.behind or self.address)
        host = self.address if self.behind else None
        profile = router.profile(self.listener, address, self.names, host)
        self.profile = profile
        known = router.known(address, host)
        self.name, self.relay, self.expect = known.name, known.relay, known.expect
        if (self.bucket.rate if self.bucket else None) != known.limit:
            self.bucket = TokenBucket(known.limit) if known.limit else None
        if (self.gaps is not None) != known.sequence:
            self.gaps = Gaps() if known.sequence else None
        alone = self.relay or self.behind or self.bucket or self.gaps
        constant = profile.constant
        self.mergeable = (
            not alone
            and constant is not None
            and constant.kind in ("deliver", "drop")
            and constant.payload not in ("line", "rfc5424", "json")
        )
        "Whether its frames may be read together with those of others: nothing shows the peer."
        self.strippable = not self.relay and constant is not None and profile.needs <= _TEXT
        "Whether nothing is wanted of its frames but the time and the text."
        self.route = constant.route if constant else None
        self.intake = constant.intake if constant else None
        "Where its frames go; where that depends on the frame, where the last ones went."

    def relayed(self, hostname: bytes) -> "Peer":
        """The source behind this relay that a message names; itself where it names none."""
        return self._peers.behind(self, hostname)

    def forget(self) -> None:
        """Nothing is decided any more; the old routes are let go."""
        self.decided = False
        self.profile = _UNDECIDED

    @property
    def clock_offset(self) -> float | None:
        """Seconds that its clock is ahead of ours, when last looked at."""
        return None if self.clock is None else self.clock.offset

    def measure(self, now_ms: int) -> None:
        """Called about once a second while it sends: its rate over some seconds."""
        passed = now_ms - self.rate_ms
        if passed >= RATE_MS or passed < 0:
            self.rate = (self.events - self.rate_events) * 1000 / passed if self.rate_ms and passed > 0 else 0.0
            self.rate_events, self.rate_ms = self.events, now_ms

    def rate_at(self, now_ms: int) -> float:
        """Events a second, lately; falls to 0 when it is silent."""
        passed = now_ms - self.rate_ms
        if passed <= 2 * RATE_MS and self.rate:
            return self.rate
        return (self.events - self.rate_events) * 1000 / max(passed, 1000) if self.rate_ms else 0.0


class Peers:
    """The senders of all listeners. Bounded: forged addresses must not grow the memory."""

    MOST = 50_000

    def __init__(self, router: Router) -> None:
        self.router = router
        self._evicted: WeakSet[Peer] = WeakSet()
        "Known no more, but perhaps still connected."
        self._known: dict[tuple[str, str, tuple[str, ...], str], Peer] = {}
        self.forgotten = 0

    def get(self, listener: str, host: str, client: tuple[str, ...] = ()) -> Peer:
        """The peer of an address as the socket gives it, and of the names that its certificate gives."""
        peer = self._known.get((listener, host, client, ""))
        if peer is None:
            address = address_of(host)
            peer = self._add((listener, host, client, ""), str(address) if address else host)
        elif not peer.decided:
            peer.decide()
        return peer

    def behind(self, relay: Peer, hostname: bytes) -> Peer:
        """The source that a relay's message names; the relay itself where it names none."""
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

    def change(self, router: Router) -> None:
        """Other routes from now on. Each peer is decided anew when it sends again: at once, all would take long."""
        self.router = router
        for peer in (*self._known.values(), *self._evicted):
            peer.forget()

    def all(self) -> list[Peer]:
        """Every peer that has been seen."""
        return list(self._known.values())

    def _add(self, key: tuple[str, str, tuple[str, ...], str], address: str, behind: str | None = None) -> Peer:
        if len(self._known) >= self.MOST:
            self._evict()
        peer = self._known[key] = Peer(key[0], address, self, key[2], behind)
        return peer

    def _evict(self) -> None:
        """A tenth goes: those who have said least, the longest silent first. Forged addresses say little; who is known
        by name stays."""
        order = sorted(
            self._known, key=lambda key: ((peer := self._known[key]).name is not None, peer.events, peer.last_seen_ms)
        )
        for key in order[: self.MOST // 10]:
            self._evicted.add(self._known.pop(key))
            self.forgotten += 1


@lru_cache(maxsize=10_000)
def address_of(host: str) -> Address | None:
    """A socket's text as an address: an IPv4 peer of a socket for both families is IPv4; None: not an address."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
