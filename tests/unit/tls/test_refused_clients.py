"""Tests which seen clients count as refused by ``client_names``, and that this costs little when asked often."""

from __future__ import annotations

import pytest

from bridge.tls.client_names import ClientNames
from bridge.tls.refused_clients import MOST_NAMED, RefusedClientFinder, RefusedClients, RefusedClientsCache
from bridge.tls.seen_clients import MOST, PRECISION_MS, WEEK_MS, SeenClient, SeenClients, Sighting

NOW_MS = 1_795_435_200_000
PATTERNS = ("*.branch.example",)


def test_refused_clients_of_a_listener_are_named() -> None:
    clients = {
        SeenClient("secure", ("a.branch.example",)): Sighting("192.0.2.1", NOW_MS),
        SeenClient("secure", ("a.b.branch.example",)): Sighting("192.0.2.2", NOW_MS - WEEK_MS + 1000),
        SeenClient("secure", ("old.b.branch.example",)): Sighting("192.0.2.3", NOW_MS - WEEK_MS - 1),
        SeenClient("other", ("a.b.branch.example",)): Sighting("192.0.2.4", NOW_MS),
    }
    refused = RefusedClientFinder("secure", PATTERNS).find(clients.items(), NOW_MS)
    (found,) = refused.named
    assert (found.client.names, found.pattern) == (("a.b.branch.example",), "*.*.branch.example")
    assert found.sighting.address == "192.0.2.2"
    assert (refused.count, refused.more) == (1, 0)


def test_latest_clients_are_named_and_the_others_counted() -> None:
    clients = [
        (SeenClient("secure", (f"{n}.b.branch.example",)), Sighting("192.0.2.1", NOW_MS + n))
        for n in range(MOST_NAMED + 3)
    ]
    refused = RefusedClientFinder("secure", PATTERNS).find(clients, NOW_MS)
    assert (refused.count, refused.more) == (MOST_NAMED + 3, 3)
    assert [found.client for found in refused.named] == [client for client, _ in reversed(clients[3:])]


def test_patterns_are_computed_once_and_only_for_the_clients_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []

    def pattern_for(self: ClientNames, names: tuple[str, ...]) -> str:
        computed.append(names)
        return "pattern"

    monkeypatch.setattr(ClientNames, "pattern_for", pattern_for)
    clients = [(SeenClient("secure", (f"{n}.b.branch.example",)), Sighting("192.0.2.1", NOW_MS)) for n in range(MOST)]
    finder = RefusedClientFinder("secure", PATTERNS)
    for _ in range(3):
        assert finder.find(clients, NOW_MS).count == MOST
    assert len(computed) == MOST_NAMED


def count_of(found: dict[str, RefusedClients]) -> dict[str, int]:
    return {listener: refused.count for listener, refused in found.items()}


def test_result_is_kept_until_clients_or_names_change(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, now_ms, matched, built = SeenClients(), NOW_MS, [], []

    class Counted(ClientNames):
        def __init__(self, patterns: tuple[str, ...]) -> None:
            built.append(patterns)
            super().__init__(patterns)

        def match(self, names: tuple[str, ...]) -> bool:
            matched.append(names)
            return super().match(names)

    monkeypatch.setattr("bridge.tls.refused_clients.ClientNames", Counted)
    cache = RefusedClientsCache(seen)
    listeners = {"secure": PATTERNS, "any": ()}
    seen.note("secure", ("a.b.branch.example",), "192.0.2.1")
    seen.note("any", ("a.b.branch.example",), "192.0.2.1")
    for _ in range(3):
        assert count_of(cache.find(listeners, now_ms)) == {"secure": 1}
        seen.note("secure", ("a.b.branch.example",), "192.0.2.1")
    assert (len(matched), len(built)) == (1, 1)
    seen.note("secure", ("c.b.branch.example",), "192.0.2.1")
    assert count_of(cache.find(listeners, now_ms)) == {"secure": 2}
    assert (len(matched), len(built)) == (2, 1)
    now_ms += PRECISION_MS
    seen.note("secure", ("c.b.branch.example",), "192.0.2.9")
    assert cache.find(listeners, now_ms)["secure"].named[0].sighting == Sighting("192.0.2.9", now_ms)
    assert len(built) == 1
    listeners["secure"] = ("*.*.branch.example",)
    assert cache.find(listeners, now_ms) == {}
    assert len(built) == 2
    del listeners["secure"]
    assert cache.find(listeners, now_ms) == {}
    listeners["secure"] = PATTERNS
    assert count_of(cache.find(listeners, now_ms)) == {"secure": 2}
    assert cache.find(listeners, now_ms + WEEK_MS + 1) == {}
