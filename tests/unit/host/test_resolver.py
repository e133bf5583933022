"""Tests the order of a name's addresses, and that an answer that does not come delays nothing."""

from __future__ import annotations

import threading
from queue import Queue
from types import SimpleNamespace

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.task import Clock
from zope.interface import implementer

from bridge.host.resolver import FAMILY_DELAY, RESOLUTION_DELAY, DualStackResolver, alternating, system_resolver

V4 = [IPv4Address("TCP", f"192.0.2.{n}", 443) for n in range(1, 4)]
V6 = [IPv6Address("TCP", f"2001:db8::{n}", 443) for n in range(1, 4)]


@implementer(IHostnameResolver)
class SystemResolver:
    """Answers when the test says so. Records the questions by address family."""

    def __init__(self):
        self.questions = {}

    def resolveHostName(self, receiver, name, port=0, types=None, transport="TCP"):
        receiver.resolutionBegan(None)
        self.questions.setdefault(types, []).append(receiver)

    def answer(self, types, addresses):
        receiver = self.questions[types].pop()
        for address in addresses:
            receiver.addressResolved(address)
        receiver.resolutionComplete()


class Receiver:
    def __init__(self):
        self.addresses, self.complete = [], 0

    def resolutionBegan(self, resolution):
        self.name = resolution.name

    def addressResolved(self, address):
        assert not self.complete
        self.addresses.append(address)

    def resolutionComplete(self):
        self.complete += 1


class ResolverFixture:
    def __init__(self):
        self.clock, self.system = Clock(), SystemResolver()
        self.resolver = DualStackResolver(self.clock, self.system)

    def resolve(self):
        receiver = Receiver()
        self.resolver.resolveHostName(receiver, "collector.test", 443)
        return receiver


@pytest.fixture
def fixture():
    return ResolverFixture()


def test_families_alternate_and_keep_their_order():
    assert alternating([]) == []
    assert alternating(V4) == V4
    assert alternating([*V6, *V4[:1]]) == [V6[0], V4[0], V6[1], V6[2]]
    assert alternating([V4[0], V6[0], V6[1], V4[1]]) == [V4[0], V6[0], V4[1], V6[1]]


def test_quick_answer_is_used_and_nothing_else_is_asked(fixture):
    receiver = fixture.resolve()
    fixture.system.answer(None, [*V6[:2], *V4[:2]])
    assert (receiver.addresses, receiver.complete, receiver.name) == ([V6[0], V4[0], V6[1], V4[1]], 1, "collector.test")
    fixture.clock.advance(60)
    assert list(fixture.system.questions) == [None]


def test_family_that_does_not_answer_delays_nothing(fixture):
    receiver = fixture.resolve()
    fixture.clock.advance(FAMILY_DELAY)
    fixture.system.answer((IPv4Address,), V4[:1])
    fixture.clock.advance(RESOLUTION_DELAY)
    assert (receiver.addresses, receiver.complete) == (V4[:1], 1)
    fixture.system.answer(None, V4[:1])
    fixture.system.answer((IPv6Address,), [])
    fixture.clock.advance(60)
    assert receiver.complete == 1


def test_second_family_may_answer_a_moment_later(fixture):
    receiver = fixture.resolve()
    fixture.clock.advance(FAMILY_DELAY)
    fixture.system.answer((IPv6Address,), V6[:1])
    fixture.clock.advance(RESOLUTION_DELAY / 2)
    fixture.system.answer((IPv4Address,), V4[:1])
    fixture.clock.advance(RESOLUTION_DELAY)
    assert (receiver.addresses, receiver.complete) == ([V6[0], V4[0]], 1)


def test_family_without_addresses_does_not_end_the_search(fixture):
    receiver = fixture.resolve()
    fixture.clock.advance(FAMILY_DELAY)
    fixture.system.answer((IPv6Address,), [])
    fixture.clock.advance(10)
    assert receiver.complete == 0
    fixture.system.answer(None, [])
    assert (receiver.addresses, receiver.complete) == ([], 1)


def test_process_does_not_wait_for_lookups_at_its_end():
    answers = Queue()
    receiver = Receiver()
    system_resolver(SimpleNamespace(callFromThread=lambda call, *args: answers.put((call, args)))).resolveHostName(
        receiver, "127.0.0.1", 443
    )
    call, args = answers.get(timeout=60)
    call(*args)
    assert [address.host for address in receiver.addresses] == ["127.0.0.1"]
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("PoolThread-name lookup")]
    assert threads and all(thread.daemon for thread in threads)


def test_equal_questions_at_the_same_time_are_asked_once(fixture):
    receivers = [fixture.resolve() for _ in range(20)]
    fixture.clock.advance(FAMILY_DELAY)
    assert [len(asked) for asked in fixture.system.questions.values()] == [1, 1, 1]
    fixture.system.answer((IPv4Address,), V4)
    fixture.clock.advance(RESOLUTION_DELAY)
    assert all(receiver.addresses == V4 for receiver in receivers)
    late = fixture.resolve()
    fixture.system.answer(None, V4)
    assert late.addresses == V4
    fixture.resolve()
    assert len(fixture.system.questions[None]) == 1
