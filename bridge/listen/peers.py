"""What is known of each sender: decided once, counted once a read."""

from ipaddress import IPv6Address, ip_address
from weakref import WeakSet

from bridge.clocks import Clock
from bridge.routing import Disposition, Profile, Router
from bridge.routing.conditions import Address
from bridge.syslog.columns import ALWAYS

_TEXT = ALWAYS | {"text"}
_UNDECIDED = Profile(())

RATE_MS = 5000
"Milliseconds over which a rate is taken."


class Peer:
    """One sender at one listener."""

    __slots__ = (
        "__weakref__", "_peers", "address", "clock", "decided", "encoded", "events", "intake", "last_seen_ms",
        "listener", "mergeable", "name", "names", "outside", "profile", "rate", "rate_events", "rate_ms", "route",
        "sampled", "shape", "strippable", "unrouted",
    )  # fmt: skip

    def __init__(self, listener: str, address: str, peers: "Peers", names: tuple[str, ...] = ()) -> None:
        self.listener = listener
        self.names = names
        "What its certificate calls it."
        self.address = address
        self.encoded = address.encode("ascii", "replace") or b"-"
        self._peers = peers
        self.decide()
        self.events = 0
        self.last_seen_ms = 0
        self.clock: Clock | None = None
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
        router, address = self._peers.router, address_of(self.address)
        profile = router.profile(self.listener, address, self.names)
        self.profile = profile
        self.name = router.name(address)
        constant = profile.constant
        self.mergeable = (
            constant is not None
            and constant.kind in ("deliver", "drop")
            and constant.payload not in ("line", "rfc5424", "json")
        )
        "Whether its frames may be read together with those of others: nothing shows the peer."
        self.strippable = constant is not None and profile.needs <= _TEXT
        "Whether nothing is wanted of its frames but the time and the text."
        self.route = constant.route if constant else None
        self.intake = constant.intake if constant else None
        "Where its frames go; where that depends on the frame, where the last ones went."

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
        self._known: dict[tuple[str, str, tuple[str, ...]], Peer] = {}
        self.forgotten = 0

    def get(self, listener: str, host: str, client: tuple[str, ...] = ()) -> Peer:
        """The peer of an address as the socket gives it, and of the names that its certificate gives."""
        peer = self._known.get((listener, host, client))
        if peer is None:
            peer = self._add(listener, host, client)
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
        return list(dict.fromkeys(self._known.values()))

    def _add(self, listener: str, host: str, client: tuple[str, ...]) -> Peer:
        if len(self._known) >= self.MOST:
            for key in list(self._known)[: self.MOST // 10]:
                self._evicted.add(self._known.pop(key))
                self.forgotten += 1
        address = address_of(host)
        peer = Peer(listener, str(address) if address else host, self, client)
        self._known[listener, host, client] = peer
        return peer


def address_of(host: str) -> Address | None:
    """A socket's text as an address: an IPv4 peer of a socket for both families is IPv4; None: not an address."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
