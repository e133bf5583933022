"""What the admin site answers: which page is made of what. The paths of the contract, and those of the status page."""

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from bridge.admin.resource import (
    JSON,
    Encoded,
    Page,
    Query,
    Said,
)
from bridge.host.logs import Recent
from bridge.monitoring.message_preview import MessagePreview, asked
from bridge.monitoring.rate_history import RateHistory
from bridge.monitoring.sources import MOST, SORTS, Wanted
from bridge.monitoring.status import Status
from bridge.spool.newest_entries import last_entries

AT_ONCE = 500
"Rows of senders that are made in one reactor turn."


class Routes:
    """``in_thread`` runs a job in the spool's thread, ``pause`` lets the reactor do other things; ``metrics`` makes a
    scrape."""

    def __init__(
        self,
        status: Status,
        *,
        rate_history: RateHistory,
        showing: MessagePreview,
        recent: Recent,
        metrics: Callable[[], bytes],
        in_thread: Callable[[Callable[[], Any]], "Deferred[Any]"],
        pause: Callable[[], "Deferred[None]"],
    ) -> None:
        self._status = status
        self._rate_history = rate_history
        self._message_preview = showing
        self._recent = recent
        self._metrics = metrics
        self._in_thread = in_thread
        self._pause = pause

    def pages(self) -> dict[str, Page]:
        """What everybody who reaches ``admin.listen`` may read."""
        return {
            "healthz": lambda query: (200, "alive\n"),
            "readyz": lambda query: self._ready(),
            "metrics": lambda query: self._metrics(),
            "api/status": self._report,
            "api/sources": self._sources,
            "api/source": lambda query: self._message_preview.source(query.get("address", ""), query.get("listener")),
            "api/unrouted": lambda query: self._message_preview.inbox(),
            "api/quarantine": lambda query: self._quarantine(),
            "api/log": lambda query: {"log": self._recent.lines()},
            "api/history": lambda query: (
                self._rate_history.day if query.get("span") == "day" else self._rate_history.hour
            ).report(),
        }

    def own_pages(self) -> dict[str, Page]:
        """What the control socket answers beside that."""
        return {
            "api/tail": lambda query: self._message_preview.tail(
                query.get("name", ""), query.get("source"), query.get("form", "")
            )
        }

    def _ready(self) -> Said:
        missing = self._status.unready()
        return (503 if missing else 200), "\n".join(missing or self._status.trouble() or ["ready"]) + "\n"

    def _report(self, query: Query) -> "Said | Deferred[Said]":
        most = asked(query, "sources", 0, MOST, MOST)
        if most <= AT_ONCE or len(self._status.peers.all()) <= AT_ONCE:
            return self._status.report(sources=most)
        return Deferred.fromCoroutine(self._long_report(most))

    async def _long_report(self, most: int) -> Said:
        """The same in slices, so that ten thousand rows do not hold the reactor. The account is of one turn."""
        status = self._status.report(sources=0)
        del status["sources"]
        peers, rows = self._status.senders.busiest()[:most], []
        for start in range(0, len(peers), AT_ONCE):
            await self._pause()
            some = [self._status.senders.row(peer) for peer in peers[start : start + AT_ONCE]]
            rows.append(json.dumps(some)[1:-1])
        await self._pause()
        return Encoded(f'{json.dumps(status)[:-1]}, "sources": [{", ".join(rows)}]}}\n'.encode())

    def _sources(self, query: Query) -> JSON:
        sort = query.get("sort", "events")
        return self._status.senders.page(
            Wanted(
                offset=asked(query, "offset", 0, 1_000_000, 0), limit=asked(query, "limit", 1, MOST, 100),
                sort=sort if sort in SORTS else "events", only=query.get("only", ""),
                find=query.get("find", "").strip().lower()[:200],
            )
        )  # fmt: skip

    def _quarantine(self) -> "Deferred[Said]":
        directory = self._status.spool.quarantine.directory
        counts = dict(self._status.spool.quarantine.counts)

        def told(entries: list[JSON]) -> Said:
            if not self._message_preview.shows_messages:
                entries = [entry | {"sample": None} for entry in entries]
            return {"held": counts, "last": entries}

        return self._in_thread(lambda: last_entries(directory)).addCallback(told)
