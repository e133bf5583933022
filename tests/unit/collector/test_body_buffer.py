"""Tests that buffered bodies are limited per client and in all, and that small senders are served."""

import pytest

from bridge.collector.body_buffer import BodyBuffer, BufferedBody


class Bodies:
    def __init__(self, limit=1000):
        self.buffer = BodyBuffer(limit)
        self.refused = []

    def body(self, client, name=""):
        return BufferedBody(client, lambda refusal: self.refused.append((client, name, refusal)))

    @property
    def names(self):
        return [(client, name) for client, name, _ in self.refused]


@pytest.fixture
def bodies():
    return Bodies()


def test_one_client_may_buffer_half(bodies):
    first, second = bodies.body("a", "first"), bodies.body("a", "second")
    bodies.buffer.add(first, 300)
    bodies.buffer.add(second, 200)
    assert not bodies.refused
    bodies.buffer.add(second, 1)
    assert bodies.names == [("a", "second")]
    refusal = bodies.refused[0][2]
    assert (refusal.status, refusal.reason, refusal.headers) == (503, "request_buffer", {"Retry-After": "10"})
    assert bodies.buffer.size == 300


def test_client_that_holds_most_loses_its_largest_unfinished_body(bodies):
    """The newcomer is served, although others have filled the buffer before."""
    held = {}
    for client, sizes in {"a": (250, 240), "b": (200, 100, 190)}.items():
        for size in sizes:
            held[client, size] = bodies.body(client, size)
            bodies.buffer.add(held[client, size], size)
    held["a", 250].complete = True
    newcomer = bodies.body("new")
    bodies.buffer.add(newcomer, 20)
    assert not bodies.refused
    bodies.buffer.add(newcomer, 1)
    assert bodies.names == [("a", 240)]
    assert bodies.buffer.size <= 1000


def test_complete_bodies_are_not_refused(bodies):
    for client in "ab":
        body = bodies.body(client)
        bodies.buffer.add(body, 490)
        body.complete = True
    last = bodies.body("c", "last")
    bodies.buffer.add(last, 30)
    assert bodies.names == [("c", "last")]


def test_removed_bodies_leave_nothing_behind(bodies):
    for client in ("a", "b", "a"):
        body = bodies.body(client)
        bodies.buffer.add(body, 100)
        bodies.buffer.remove(body)
        bodies.buffer.remove(body)
    assert (bodies.buffer.size, bodies.buffer._by_client, bodies.buffer._bodies) == (0, {}, {})
