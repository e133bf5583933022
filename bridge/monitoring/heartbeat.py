"""Writes a heartbeat at a fixed interval (``admin.heartbeat``): one JSON object about the state of the gateway.

A SIEM that receives it can watch gateways that nothing can connect to, and notices one that has stopped. Keys stay;
later versions may add some.
"""

import json
from collections.abc import Callable
from typing import Any

from bridge.monitoring.alarm_kinds import CRITICAL, DEGRADED
from bridge.monitoring.self_events import SelfEvents
from bridge.monitoring.status import Status

EVERY = 5.0
"Seconds between two checks whether a heartbeat is due."
MAX_TEXT = 300
"Characters of the worst problem's text and remedy, at most."

JSON = dict[str, Any]


class Heartbeat:
    """Writes the heartbeats of one bridge, the first at its start. ``clock`` returns monotonic seconds."""

    def __init__(self, self_events: SelfEvents, status: Status, clock: Callable[[], float]) -> None:
        self._self_events = self_events
        self._status = status
        self._clock = clock
        self._last: float | None = None

    def look(self) -> None:
        """Writes a heartbeat if one is due. Called every ``EVERY`` seconds.

        Without room in the spool it waits: no event is dropped for it.
        """
        terms, now = self._self_events.config.admin.heartbeat, self._clock()
        if terms is None or terms.intake is None:
            self._last = None
            return
        # The tolerance keeps the interval when the checks are a little early.
        if self._last is not None and now - self._last < terms.every.total_seconds() - EVERY / 2:
            return
        budget = self._status.disk_budget
        if terms.intake in budget.full or budget.unready():
            return
        self._last = now
        self._self_events.write(terms.intake, [json.dumps(heartbeat(self._status.report(sources=0)))])


def heartbeat(status: JSON) -> JSON:
    """Returns the content of a heartbeat, from ``/api/status``."""
    headline, ledger, spool = status["headline"], status["ledger"], status["spool"]
    problems = headline["problems"]
    worst = problems[0] if problems else None
    oldest = max((row["oldest_seconds"] or 0.0 for row in status["intakes"]), default=0.0)
    return {
        "event": "heartbeat",
        # The names that the vendor's parser of forwarder events needs, if the intake has that format.
        "name": f"heartbeat-{status['gateway']}",
        "origin": "syslog-bridge",
        "product": "syslog-bridge",
        "gateway": status["gateway"],
        "version": status["version"],
        "config_sha256": status["config_sha256"],
        "started": status["started"],
        "uptime_seconds": status["uptime_seconds"],
        "state": headline["state"],
        "problems": {state: sum(each["state"] == state for each in problems) for state in (CRITICAL, DEGRADED)},
        "problem": None
        if worst is None
        else {
            "kind": worst["kind"], "state": worst["state"], "since": worst["since"],
            "text": worst["text"][:MAX_TEXT], "remedy": worst["remedy"][:MAX_TEXT],
        },
        "received": ledger["received"],
        "recovered": ledger["recovered"],
        "replayed": ledger["replayed"],
        "delivered": ledger["delivered"],
        "waiting": ledger["spooled"] + ledger["buffered"],
        "oldest_waiting_seconds": round(oldest),
        "quarantined": ledger["quarantined"],
        "filtered": ledger["filtered"],
        "dropped": sum(ledger["dropped"].values()),
        "dropped_by_reason": ledger["dropped"],
        "dropped_by_kernel": sum(status["kernel_drops"].values()),
        "sources": status["sources_count"]["total"],
        "spool_bytes": spool.get("bytes"),
        "spool_limit_bytes": spool.get("limit_bytes"),
        "spool_full_in_seconds": spool.get("full_in_seconds"),
    }  # fmt: skip
