"""Maps the paths of the admin site to pages: the stable paths and those of the status page."""

import json
from collections.abc import Callable

from twisted.internet.defer import Deferred

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


class Routes:
    """Builds the pages from the parts of a running bridge.

    ``run`` runs a job on the spool thread. ``pause`` lets the reactor handle other work. ``metrics`` returns the
    response to one scrape.
    """

    def __init__(
        self,
        status: Status,
        *,
        rate_history: RateHistory,
        showing: MessagePreview,
        recent: Recent,
        metrics: Callable[[], bytes],
        run: Run,
        pause: Callable[[], "Deferred[None]"],
    ) -> None:
        self._status = status
        self._rate_history = rate_history
        self._message_preview = showing
        self._recent = recent
        self._metrics = metrics
        self._in_thread = run
        self._pause = pause

    def pages(self) -> dict[str, Page]:
        """Returns the pages of ``admin.listen`` by path."""
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

    def control_pages(self) -> dict[str, Page]:
        """Returns the additional pages of the control socket by path."""
        return {
            "api/tail": lambda query: self._message_preview.tail(
                query.get("name", ""), query.get("source"), query.get("form", "")
            )
        }

    def _ready(self) -> Result:
        missing = self._status.unready()
        return (503 if missing else 200), "\n".join(missing or self._status.problems() or ["ready"]) + "\n"

    def _report(self, query: Query) -> "Result | Deferred[Result]":
        max_sources = bounded_number(query, "sources", 0, MAX_ROWS, MAX_ROWS)
        if max_sources <= ROWS_PER_TURN or len(self._status.peers.all()) <= ROWS_PER_TURN:
            return self._status.report(sources=max_sources)
        return Deferred.fromCoroutine(self._long_report(max_sources))

    async def _long_report(self, max_sources: int) -> Result:
        """Builds the status in slices, so that ten thousand rows do not block the reactor. The ledger is read in one
        turn and stays consistent."""
        status = self._status.report(sources=0)
        del status["sources"]
        peers, rows = self._status.senders.busiest()[:max_sources], []
        for start in range(0, len(peers), ROWS_PER_TURN):
            await self._pause()
            some = [self._status.senders.row(peer) for peer in peers[start : start + ROWS_PER_TURN]]
            rows.append(json.dumps(some)[1:-1])
        await self._pause()
        return Encoded(f'{json.dumps(status)[:-1]}, "sources": [{", ".join(rows)}]}}\n'.encode())

    def _sources(self, query: Query) -> JSON:
        sort = query.get("sort", "events")
        return self._status.senders.page(
            Wanted(
                offset=bounded_number(query, "offset", 0, 1_000_000, 0),
                limit=bounded_number(query, "limit", 1, MAX_ROWS, 100),
                sort=sort if sort in SORTS else "events", only=query.get("only", ""),
                find=query.get("find", "").strip().lower()[:200],
            )
        )  # fmt: skip

    def _quarantine(self) -> "Deferred[Result]":
        directory = self._status.spool.quarantine.directory
        counts = dict(self._status.spool.quarantine.counts)

        def respond(entries: list[JSON]) -> Result:
            if not self._message_preview.shows_messages:
                entries = [entry | {"sample": None} for entry in entries]
            return {"held": counts, "last": entries}

        return self._in_thread(lambda: last_entries(directory)).addCallback(respond)
