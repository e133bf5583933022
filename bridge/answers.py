"""What the admin site answers: which page is made of what. The paths of the contract, and those of the status page."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from bridge.admin.resource import JSON, Page, Query, Said
from bridge.logs import Recent
from bridge.pulse import Pulse
from bridge.showing import Showing, asked
from bridge.sources import MOST, SORTS, Wanted
from bridge.spool.peeking import last_entries
from bridge.status import Status


class Answers:
    """``in_thread`` runs a job in the spool's thread; ``metrics`` makes a scrape."""

    def __init__(
        self,
        status: Status,
        *,
        pulse: Pulse,
        showing: Showing,
        recent: Recent,
        metrics: Callable[[], bytes],
        in_thread: Callable[[Callable[[], Any]], "Deferred[Any]"],
    ) -> None:
        self._status = status
        self._pulse = pulse
        self._showing = showing
        self._recent = recent
        self._metrics = metrics
        self._in_thread = in_thread

    def pages(self) -> dict[str, Page]:
        """What everybody who reaches ``admin.listen`` may read."""
        return {
            "healthz": lambda query: (200, "alive\n"),
            "readyz": lambda query: self._ready(),
            "metrics": lambda query: self._metrics(),
            "api/status": self._report,
            "api/sources": self._sources,
            "api/source": lambda query: self._showing.source(query.get("address", ""), query.get("listener")),
            "api/unrouted": lambda query: self._showing.inbox(),
            "api/quarantine": lambda query: self._quarantine(),
            "api/log": lambda query: {"log": self._recent.lines()},
            "api/history": lambda query: (self._pulse.day if query.get("span") == "day" else self._pulse.hour).report(),
        }

    def own_pages(self) -> dict[str, Page]:
        """What the control socket answers beside that."""
        return {
            "api/tail": lambda query: self._showing.tail(
                query.get("name", ""), query.get("source"), query.get("form", "")
            )
        }

    def _ready(self) -> Said:
        missing = self._status.unready()
        return (503 if missing else 200), "\n".join(missing or self._status.trouble() or ["ready"]) + "\n"

    def _report(self, query: Query) -> JSON:
        return self._status.report(sources=asked(query, "sources", 0, MOST, MOST))

    def _sources(self, query: Query) -> JSON:
        sort = query.get("sort", "events")
        return self._status.senders.page(
            Wanted(
                offset=asked(query, "offset", 0, 1_000_000, 0), limit=asked(query, "limit", 1, MOST, 100),
                sort=sort if sort in SORTS or sort == "rate" else "events", only=query.get("only", ""),
                find=query.get("find", "").strip().lower()[:200],
            )
        )  # fmt: skip

    def _quarantine(self) -> "Deferred[Said]":
        directory = self._status.spool.quarantine.directory
        counts = dict(self._status.spool.quarantine.counts)

        def told(entries: list[JSON]) -> Said:
            return {"held": counts, "last": entries}

        return self._in_thread(lambda: last_entries(directory)).addCallback(told)
