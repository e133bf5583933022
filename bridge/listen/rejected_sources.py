"""Remembers which addresses a listener rejected, why, how often and when, in bounded memory.

Addresses can be forged and connections cost an attacker nothing. So each listener remembers at most ``MOST`` addresses.
When there are more, those that were rejected least often are forgotten.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bridge.ingest.addresses import address_of

MOST = 1000
"Addresses that are remembered for each listener, at most."
MOST_TEXT = 500
"Characters of an explanation that are remembered. It may quote names from a certificate that anybody can write."


@dataclass(slots=True)
class Rejection:
    """Describes how a listener rejected one address for one reason. Times are those of the monotonic clock."""

    listener: str
    address: str
    reason: str
    "The code for metrics."
    text: str
    "The latest explanation for the operator."
    first: float
    last: float
    count: int = 0
    accepted: float | None = None
    "When the listener accepted the address again after ``last``; None while it has not."


class RejectedSources:
    """Holds the rejected addresses of all listeners. ``clock`` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._by_listener: dict[str, dict[str, dict[str, Rejection]]] = {}
        "Listener -> address -> reason code -> rejection."

    def note(self, listener: str, host: str, reason: str, text: str, count: int = 1) -> Rejection:
        """Counts rejections of one address. Returns the rejection; its ``count`` tells whether it is new."""
        now, address = self.clock(), sender_of(host)
        addresses = self._by_listener.setdefault(listener, {})
        if address not in addresses and len(addresses) >= MOST:
            _make_room(addresses)
        reasons = addresses.setdefault(address, {})
        found = reasons.get(reason)
        if found is None:
            found = reasons[reason] = Rejection(listener, address, reason, "", now, now)
        found.text, found.last, found.accepted = text[:MOST_TEXT], now, None
        found.count += count
        return found

    def note_accepted(self, listener: str, host: str) -> None:
        """Records that a listener has accepted data of an address. Called for each connection, not for each message."""
        for rejection in self._by_listener.get(listener, {}).get(sender_of(host), {}).values():
            if rejection.accepted is None:
                rejection.accepted = self.clock()

    def all(self) -> list[Rejection]:
        """Returns all rejections, the latest first."""
        found = (
            rejection
            for addresses in self._by_listener.values() for reasons in addresses.values()
            for rejection in reasons.values()
        )  # fmt: skip
        return sorted(found, key=lambda rejection: rejection.last, reverse=True)

    def of(self, address: str) -> list[Rejection]:
        """Returns the rejections of one address, the latest first."""
        found = (
            rejection
            for addresses in self._by_listener.values() for rejection in addresses.get(sender_of(address), {}).values()
        )  # fmt: skip
        return sorted(found, key=lambda rejection: rejection.last, reverse=True)

    def rename(self, before: str, after: str) -> None:
        """Keeps the rejections of a listener that a reload has renamed."""
        if before != after and (addresses := self._by_listener.pop(before, None)) is not None:
            for reasons in addresses.values():
                for rejection in reasons.values():
                    rejection.listener = after
            self._by_listener[after] = addresses

    def keep(self, listeners: Iterable[str]) -> None:
        """Forgets the rejections of all other listeners: a reload has removed them."""
        kept = set(listeners)
        for listener in [name for name in self._by_listener if name not in kept]:
            del self._by_listener[listener]


def sender_of(host: str) -> str:
    """Returns the address of a sender as it is shown, without its zone. An IPv4-mapped address is IPv4."""
    return str(address_of(host) or host)


def _make_room(addresses: dict[str, dict[str, Rejection]]) -> None:
    """Forgets half of the addresses: those that are accepted again, then those that were rejected least often, and
    among them those rejected longest ago. Half, so that a flood of forged addresses seldom sorts them."""

    def worth(address: str) -> tuple[bool, int, float]:
        rejections = addresses[address].values()
        return (
            any(rejection.accepted is None for rejection in rejections),
            sum(rejection.count for rejection in rejections), max(rejection.last for rejection in rejections),
        )  # fmt: skip

    for address in sorted(addresses, key=worth)[: len(addresses) // 2]:
        del addresses[address]
