"""Maps the paths of the admin site to pages: the stable paths and those of the status page."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from bridge.admin.openapi import openapi
from bridge.admin.resource import JSON, Encoded, Page, Query, Result
from bridge.host.interfaces import Run
from bridge.host.logs import Recent
from bridge.monitoring.message_preview import MessagePreview, bounded_number
from bridge.monitoring.rate_history import RateHistory
from bridge.monitoring.sources import MAX_ROWS, SORTS, Wanted
from bridge.monitoring.status import Status
from bridge.spool.inspect import last_entries

ROWS_PER_TURN = 500
"Source rows that are built in one reactor turn."

MAX_PLOTTED_INTAKES = 50
"Intakes in one response of the history by intake."


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Builds the pages from the parts of a running bridge."""

    status: Status
    rate_history: RateHistory
    message_preview: MessagePreview
    recent: Recent
    metrics: Callable[[], bytes]
    "Returns the response to one scrape."
    run: Run
    "Runs a job on the spool thread."
    pause: "Callable[[], Deferred[None]]"
    "Lets the reactor handle other work."

    def pages(self) -> dict[str, Page]:
        """Returns the pages of ``admin.listen`` by path."""
        return {
            "healthz": lambda query: (200, "alive\n"),
            "readyz": lambda query: self._ready(),
            "metrics": lambda query: self.metrics(),
            "api/status": self._report,
            "api/sources": self._sources,
            "api/source": lambda query: self.message_preview.source(query.get("address", ""), query.get("listener")),
            "api/unrouted": lambda query: self.message_preview.inbox(),
            "api/quarantine": lambda query: self._quarantine(),
            "api/log": lambda query: {"log": self.recent.lines()},
            "api/openapi.json": lambda query: openapi(),
            "api/intake_history": self._intake_history,
            "api/history": lambda query: (
                self.rate_history.day if query.get("span") == "day" else self.rate_history.hour
            ).report(),
        }

    def control_pages(self) -> dict[str, Page]:
        """Returns the additional pages of the control socket by path."""
        return {
            "api/tail": lambda query: self.message_preview.tail(
                query.get("name", ""), query.get("source"), query.get("form", "")
            )
        }

    def _ready(self) -> Result:
        missing = self.status.unready()
        return (503 if missing else 200), "\n".join(missing or self.status.problem_texts() or ["ready"]) + "\n"

    def _report(self, query: Query) -> "Result | Deferred[Result]":
        max_sources = bounded_number(query, "sources", 0, MAX_ROWS, MAX_ROWS)
        if max_sources <= ROWS_PER_TURN or len(self.status.peers.all()) <= ROWS_PER_TURN:
            return self.status.report(sources=max_sources)
        return Deferred.fromCoroutine(self._long_report(max_sources))

    async def _long_report(self, max_sources: int) -> Result:
        """Builds the status in slices, so that ten thousand rows do not block the reactor. The ledger is read in one
        turn and stays consistent."""
        status = self.status.report(sources=0)
        del status["sources"]
        peers, rows = self.status.senders.busiest()[:max_sources], []
        for start in range(0, len(peers), ROWS_PER_TURN):
            await self.pause()
            some = [self.status.senders.row(peer) for peer in peers[start : start + ROWS_PER_TURN]]
            rows.append(json.dumps(some)[1:-1])
        await self.pause()
        return Encoded(f'{json.dumps(status)[:-1]}, "sources": [{", ".join(rows)}]}}\n'.encode())

    def _sources(self, query: Query) -> JSON:
        sort = query.get("sort", "events")
        return self.status.senders.page(
            Wanted(
                offset=bounded_number(query, "offset", 0, 1_000_000, 0),
                limit=bounded_number(query, "limit", 1, MAX_ROWS, 100),
                sort=sort if sort in SORTS else "events", only=query.get("only", ""),
                find=query.get("find", "").strip().lower()[:200], intake=query.get("intake", ""),
            )
        )  # fmt: skip

    def _intake_history(self, query: Query) -> JSON:
        history = self.rate_history
        ring = history.intakes_day if query.get("span") == "day" else history.intakes_hour
        return ring.report(query.get("names", "").split(",")[:MAX_PLOTTED_INTAKES])

    def _quarantine(self) -> "Deferred[Result]":
        directory = self.status.spool.quarantine.directory
        counts = dict(self.status.spool.quarantine.counts)

        def respond(entries: list[JSON]) -> Result:
            if not self.message_preview.shows_messages:
                entries = [entry | {"sample": None} for entry in entries]
            return {"held": counts, "last": entries}

        return self.run(lambda: last_entries(directory)).addCallback(respond)
