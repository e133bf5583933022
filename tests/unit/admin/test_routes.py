"""Tests the pages of the admin site that read the history and the list of sources."""

from __future__ import annotations

from datetime import UTC
from types import SimpleNamespace
from typing import Any

from bridge.accounting import Ledger
from bridge.admin.openapi import PATHS
from bridge.admin.routes import MAX_PLOTTED_INTAKES, Routes
from bridge.ingest.peers import Peers
from bridge.monitoring.rate_history import EVERY, RateHistory
from bridge.monitoring.runtime_metrics import DELAYS, Histogram
from bridge.monitoring.sources import SourceList
from bridge.routing import Router

NOW = 1_795_418_640.0


class RoutesFixture:
    """Routes over a real history and list of sources."""

    def __init__(self) -> None:
        self.now = NOW
        self.ledger = Ledger()
        self.history = RateHistory(
            self.ledger, Histogram(DELAYS), clock=lambda: self.now, wall=lambda: self.now
        )  # fmt: skip
        unrouted: Any = SimpleNamespace(kind="hold", intake=None)
        router = Router(routes=(), intakes={}, listeners={"udp": None}, unrouted=unrouted, timezone=UTC)
        self.peers = Peers(router)
        status: Any = SimpleNamespace(senders=SourceList(self.peers, lambda: self.now))
        missing: Any = None
        self.routes = Routes(
            status=status, rate_history=self.history, message_preview=missing, recent=missing, metrics=missing,
            run=missing, pause=missing,
        )  # fmt: skip

    def get(self, path: str, **query: str) -> Any:
        return self.routes.pages()[path](query)


def test_history_is_that_of_the_named_intakes_only() -> None:
    fixture = RoutesFixture()
    for _ in range(130):
        fixture.now += EVERY
        fixture.history.beat({f"intake-{n}": n for n in range(60)}, 0.0)
    answer = fixture.get("api/intake_history", names="intake-7,nothing,intake-9")
    assert set(answer["intakes"]) == {"intake-7", "intake-9"}
    assert set(answer["intakes"]["intake-7"]["waiting"]) == {7.0}
    assert (answer["step"], fixture.get("api/intake_history", span="day")["step"]) == (20.0, 300.0)
    assert fixture.get("api/intake_history")["intakes"] == {}
    names = ",".join(f"intake-{n}" for n in range(60))
    assert len(fixture.get("api/intake_history", names=names)["intakes"]) == MAX_PLOTTED_INTAKES


def test_sources_are_those_of_one_intake() -> None:
    fixture = RoutesFixture()
    for number in range(20):
        peer = fixture.peers.get("udp", f"192.0.2.{number}")
        peer.last_seen_ms, peer.intake = int(NOW * 1000), "fw" if number < 3 else "fw-2"
    answer = fixture.get("api/sources", intake="fw", limit="2")
    assert (answer["total"], answer["matching"], len(answer["sources"])) == (20, 3, 2)
    assert fixture.get("api/sources", intake="other")["matching"] == 0


def test_openapi_document_describes_every_path() -> None:
    fixture = RoutesFixture()
    assert {f"/{path}" for path in fixture.routes.pages()} == set(fixture.get("api/openapi.json")["paths"])


def test_openapi_document_names_the_fields_of_the_histories_and_sources() -> None:
    fixture = RoutesFixture()
    fixture.now += EVERY
    fixture.history.beat({}, 0.0)
    for path in ("api/history", "api/intake_history", "api/sources", "api/openapi.json"):
        assert set(PATHS[path].fields) <= set(fixture.get(path)), path
