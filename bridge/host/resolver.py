"""Resolves host names without waiting for an answer about one address family that does not come.

The system's resolver asks for IPv4 and IPv6 addresses and waits until both are answered. A name server or firewall that
drops the question for IPv6 addresses delays each new connection by ten seconds and more. So if there is no answer after
``FAMILY_DELAY`` seconds, this resolver also asks for each family separately, and uses the addresses that arrive first.

Addresses of the families alternate (RFC 8305 section 4). Twisted tries one address after the other at short intervals,
so a family that leads nowhere costs one interval, however many addresses it has.
"""
# mypy: disallow-untyped-calls=False

from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from threading import Thread

from twisted.internet import defer
from twisted.internet._resolver import GAIResolver
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorThreads,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

FAMILY_DELAY = 0.5
"Seconds without an answer after which the name is resolved for each address family separately."
RESOLUTION_DELAY = 0.05
"Seconds to wait for the addresses of the second family after those of the first."

Addresses = list[IAddress]
Question = tuple[str, int, tuple[type[IAddress], ...] | None]
"Name, port and address families; None: all families."


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Does nothing: the system's resolver cannot be interrupted."""


@implementer(IResolutionReceiver)
class _Receiver:
    """Collects the addresses of one question for all that wait for them."""

    def __init__(self) -> None:
        self.complete = False
        self._addresses: Addresses = []
        self._waiters: list[defer.Deferred[Addresses]] = []

    def wait(self) -> "defer.Deferred[Addresses]":
        """Returns a Deferred that fires with the addresses."""
        if self.complete:
            return defer.succeed(self._addresses)
        self._waiters.append(defer.Deferred())
        return self._waiters[-1]

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Does nothing."""

    def addressResolved(self, address: IAddress) -> None:
        self._addresses.append(address)

    def resolutionComplete(self) -> None:
        self.complete = True
        for waiter in self._waiters:
            waiter.callback(self._addresses)


@implementer(IHostnameResolver)
class DualStackResolver:
    """Resolves names with ``resolver``, and for each address family separately if that takes too long."""

    def __init__(self, clock: IReactorTime, resolver: IHostnameResolver) -> None:
        self._clock = clock
        self._resolver = resolver
        self._unanswered: dict[Question, _Receiver] = {}
        "Queries in progress. An equal query waits for them, so that a slow DNS server does not use up the threads."

    def resolveHostName(
        self, resolutionReceiver: IResolutionReceiver, hostName: str, portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None, transportSemantics: str = "TCP",
    ) -> IHostResolution:  # fmt: skip
        """Passes the addresses of a name to the receiver. A name that does not exist has none."""
        if addressTypes is not None or transportSemantics != "TCP":
            return self._resolver.resolveHostName(
                resolutionReceiver, hostName, portNumber, addressTypes, transportSemantics
            )
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)

        def resolved(addresses: Addresses) -> None:
            for address in alternating(addresses):
                resolutionReceiver.addressResolved(address)
            resolutionReceiver.resolutionComplete()

        self._addresses(hostName, portNumber).addCallback(resolved)
        return resolution

    def _addresses(self, name: str, port: int) -> "defer.Deferred[Addresses]":
        """Returns the addresses of the system's resolver, or those of the families that have answered earlier."""
        found: defer.Deferred[Addresses] = defer.Deferred()
        by_family: Addresses = []

        def end(addresses: Addresses) -> None:
            if not found.called:
                if each.active():
                    each.cancel()
                found.callback(addresses)

        def family_answered(addresses: Addresses) -> None:
            by_family.extend(addresses)
            if addresses and not found.called:
                self._clock.callLater(RESOLUTION_DELAY, end, by_family)

        def ask_each_family() -> None:
            for family in (IPv6Address, IPv4Address):
                self._ask((name, port, (family,))).addCallback(family_answered)

        each = self._clock.callLater(FAMILY_DELAY, ask_each_family)
        self._ask((name, port, None)).addCallback(end)
        return found

    def _ask(self, question: Question) -> "defer.Deferred[Addresses]":
        receiver = self._unanswered.get(question)
        if receiver is None or receiver.complete:
            receiver = self._unanswered[question] = _Receiver()
            self._resolver.resolveHostName(receiver, *question)
            receiver.wait().addCallback(lambda addresses: self._unanswered.pop(question, None))
        return receiver.wait()


class _LookupThread(Thread):
    """A thread of name lookups. The end of the process does not wait for it, as a lookup may take half a minute."""

    def __init__(self, *, name: str, target: Callable[[], None]) -> None:
        super().__init__(name=name, target=target, daemon=True)


class _LookupThreads(ThreadPool):
    threadFactory = _LookupThread  # type: ignore[assignment]


def system_resolver(reactor: IReactorThreads) -> IHostnameResolver:
    """Returns the system's resolver, with threads of its own."""
    threads = _LookupThreads(minthreads=0, name="name lookup")
    threads.start()
    return GAIResolver(reactor, lambda: threads)


def resolve(reactor: IReactorPluggableNameResolver, name: str, port: int) -> "defer.Deferred[list[str]]":
    """Returns the addresses of a name as text; empty if it cannot be resolved."""
    receiver = _Receiver()
    reactor.nameResolver.resolveHostName(receiver, name, port)
    return receiver.wait().addCallback(
        lambda found: list(dict.fromkeys(str(getattr(each, "host", "")) for each in found))
    )


def alternating(addresses: Addresses) -> Addresses:
    """Returns the addresses in their order, but with alternating families."""
    first = [address for address in addresses if type(address) is type(addresses[0])]
    second = [address for address in addresses if type(address) is not type(addresses[0])]
    return [address for address in chain.from_iterable(zip_longest(first, second)) if address is not None]
