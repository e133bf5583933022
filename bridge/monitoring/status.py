"""Builds ``/api/status`` and the list of current problems from the parts of a running bridge."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge import __version__
from bridge.accounting import Ledger
from bridge.cluster.backlog_view import BacklogView
from bridge.deliver.courier import Courier
from bridge.deliver.response_handler import Answered
from bridge.ingest.mirror import Mirror
from bridge.ingest.peers import Peers
from bridge.ingest.pipeline import Pipeline
from bridge.listen.listener_set import ListenerSet
from bridge.monitoring.alarms import Alarm, Alarms
from bridge.monitoring.gateway_clock import GatewayClock
from bridge.monitoring.kept_problems import KeptProblems
from bridge.monitoring.problem_history import ProblemHistory
from bridge.monitoring.problems import Problem, computed_problems, find_problems, summarize
from bridge.monitoring.rate_history import RateHistory
from bridge.monitoring.runtime_metrics import RuntimeMetrics
from bridge.monitoring.sources import MAX_ROWS, SourceList, Wanted
from bridge.monitoring.sync_monitor import SyncMonitor
from bridge.spool import Spool
from bridge.storage.disk_budget import DiskBudget
from bridge.syslog.timestamps import rfc3339

MAX_UNROUTED = 1000
"Maximum number of unrouted sources in one response, the busiest first."

MAX_KEYED = 100
"Maximum number of sources with intake keys in one response, the busiest first."

MAX_UNSENT_DATA = 100
"Maximum number of sources whose structured data is not sent in one response, the busiest first."

STATES = ("idle", "delivering", "backing-off", "parked", "full")
"States of an intake."

JSON = dict[str, object]


@dataclass(slots=True)
class Status:
    """Reads the figures of a running bridge's parts on request."""

    ledger: Ledger
    couriers: Mapping[str, Courier | BacklogView]
    spool: Spool
    pipeline: Pipeline
    peers: Peers
    listener_set: ListenerSet
    alarms: Alarms
    runtime_metrics: RuntimeMetrics
    config_sha256: str
    wall: Callable[[], float]
    disk_budget: DiskBudget
    sync_monitor: SyncMonitor
    quota: Callable[[str], JSON]
    certificates: Callable[[], dict[str, float]]
    "Returns TLS listener -> seconds until its certificate expires."
    losses: Callable[[], list[JSON]]
    "Returns the losses that go on, or ended within a day."
    incidents: Callable[[], list[JSON]]
    "Returns the incidents, such as truncated messages, that go on, or ended within a day."
    held: Callable[[], list[JSON]]
    "Returns a row for each reason for which frames are held in quarantine."
    history: ProblemHistory
    "The begin and the end of problems that are computed from the status."
    kept: KeptProblems
    "The problems that ended before the start."
    silent: Callable[[], dict[str, int]]
    "Returns the sources that are silent for longer than ``alert_if_silent_for`` allows -> seconds of silence."
    silent_names: Callable[[], dict[str, str]]
    "Returns the names of those that have one in ``sources:``."
    drifts: Callable[[], list[JSON]]
    "Returns the sources whose messages have changed."
    mirror: Mirror
    senders: SourceList
    rate_history: RateHistory
    gateway_clock: GatewayClock
    started: float
    "Start of the process in seconds since the epoch. It is corrected when the clock was set."
    cluster_node: Callable[[], JSON] | None = None
    "Returns the state of the shared backlog; None if the backlog is not shared."
    rejected: Callable[[], list[JSON]] = list
    "Returns the senders that were rejected and not accepted since."
    reloaded: bool = True
    "True if the last reload was applied, or if there was none."
    monotonic_uptime: Callable[[], float] | None = None
    "Returns the seconds since the start, whatever the wall clock did. None: computed from ``started``."

    def change(self, config_sha256: str) -> None:
        """Shows another configuration, which was applied."""
        self.config_sha256, self.reloaded = config_sha256, True

    def note_failed_reload(self) -> None:
        """Shows that the configuration on disk is not in use."""
        self.reloaded = False

    def uptime(self) -> float:
        """Returns the seconds since the start."""
        return self.wall() - self.started if self.monotonic_uptime is None else self.monotonic_uptime()

    def start_time(self) -> float:
        """Returns the start of the process in seconds since the epoch. It changes only if the clock was set."""
        start = self.wall() - self.uptime()
        if abs(start - self.started) >= 1.0:
            self.started = start
        return self.started

    def report(self, *, sources: int = MAX_ROWS) -> JSON:
        """Returns the content of ``/api/status``, with at most ``sources`` source rows."""
        facts = self._facts(sources=sources)
        return {"headline": summarize(facts, self.history.start_of), **facts}

    def note_problems(self) -> None:
        """Records which problems there are and which have ended. Called every few seconds."""
        facts = self._facts(sources=0)
        self.history.note(computed_problems(facts))
        self.kept.note(facts)

    def _facts(self, *, sources: int) -> JSON:
        """Returns ``/api/status`` without its summary."""
        now, rates = self.wall(), self.rate_history
        return {
            "taken": rfc3339(int(now * 1000)),
            "version": __version__,
            "gateway": socket.gethostname(),
            "started": rfc3339(int(self.start_time() * 1000)),
            "uptime_seconds": round(self.uptime()),
            "rates": {"received": round(rates.received, 1), "delivered": round(rates.delivered, 1)},
            "ledger": self.ledger.columns(),
            "intakes": self.intakes(),
            "sources": self.senders.page(Wanted(limit=sources))["sources"] if sources else [],
            "sources_count": self.senders.counts(),
            "clocks": self.clocks(),
            "gateway_clock_offset_seconds": self.gateway_clock.offset,
            "unrouted": self.unrouted(),
            "sources_with_intake_keys": [
                {"address": peer.address, "listener": peer.listener, "events": peer.keyed}
                for peer in self.senders.keyed(MAX_KEYED)
            ],
            "unsent_structured_data": self.senders.unsent_data(MAX_UNSENT_DATA),
            "kernel_drops": self.listener_set.kernel_drops(),
            "losses": self.losses(),
            "incidents": self.incidents(),
            "held": self.held(),
            "listeners": self.listener_set.ports(),
            "listener_details": self.listener_set.details(),
            **self._routes(),
            "quarantine": dict(self.spool.quarantine.counts),
            "spool": {**self.disk_budget.report(), "synced_files": self.sync_monitor.synced_files},
            "held_connections": len(self.pipeline.spool_writer.backpressure),
            "possible_duplicates": {
                name: account.possible_duplicates
                for name, account in self.ledger.accounts.items()
                if account.possible_duplicates
            },
            "refused_connections": self.listener_set.refused(),
            "refusals": self.listener_set.rejections(),
            "rejected_sources": self.rejected(),
            "health_checks": self.listener_set.health_checks(),
            **self._refused_clients(),
            "certificates": {name: round(left) for name, left in self.certificates().items()},
            "silent_sources": self.silent(),
            "silent_source_names": self.silent_names(),
            "drifts": self.drifts(),
            "copies": {
                target: {"sent": sent, "dropped": self.mirror.dropped[target]}
                for target, sent in self.mirror.sent.items()
            },
            "times_not_believed": self.pipeline.read_counts.outside,
            "converted_to_utf8": self.pipeline.read_counts.converted,
            "alarms": [self._alarm(alarm) for alarm in self.alarms.current.values()],
            "ended_alarms": [
                *(self._alarm(alarm) for alarm in self.alarms.ended()), *self.kept.alarms(self.alarms.current),
            ],
            "ended_problems": [*self.history.ended(), *self.kept.problems()],
            "fleet": None if self.cluster_node is None else self.cluster_node(),
            "config_sha256": self.config_sha256,
        }  # fmt: skip

    def _routes(self) -> JSON:
        counts = self.pipeline.read_counts
        return {
            "routes": dict(counts.by_route), "filtered": dict(counts.filtered_by_route),
            "redactions": dict(counts.redacted), "match_limit_exceeded": dict(counts.limit_exceeded),
            "truncated": dict(counts.truncated),
        }  # fmt: skip

    def problems(self) -> list[Problem]:
        """Returns the current problems, the most harmful first."""
        return find_problems(self._facts(sources=0), self.history.start_of)

    def problem_texts(self) -> list[str]:
        """Returns the state and the text of each problem. The gateway can still receive messages."""
        return [f"{problem.severity}: {problem.text}" for problem in self.problems()]

    def _alarm(self, alarm: Alarm) -> JSON:
        shown: JSON = {
            "kind": alarm.kind, "about": alarm.about, "text": alarm.text, "remedy": alarm.remedy,
            "since": self.alarms.moment(alarm.since),
        }  # fmt: skip
        return shown if alarm.ended is None else {**shown, "ended": self.alarms.moment(alarm.ended)}

    def _refused_clients(self) -> JSON:
        now_ms = int(self.wall() * 1000)
        refused = self.listener_set.refused_clients(now_ms)
        rows = [
            {"listener": found.client.listener, "names": list(found.client.names), "address": found.sighting.address,
             "last_seen": rfc3339(found.sighting.seen_ms), "pattern": found.pattern,
             "silent_seconds": max(0, (now_ms - found.sighting.seen_ms) // 1000)}
            for of_listener in refused.values() for found in of_listener.named
        ]  # fmt: skip
        count = sum(of_listener.count for of_listener in refused.values())
        return {"clients_not_in_client_names": rows, "clients_not_in_client_names_count": count}

    def intakes(self) -> list[JSON]:
        """Returns one entry per intake with its state, backlog and delivery figures."""
        now, left, rates = self.wall(), self.disk_budget.time_to_full.intakes, self.rate_history
        found: list[JSON] = []
        for name, courier in self.couriers.items():
            sequences = (self.spool.oldest_open(name), courier.oldest_sequence)
            oldest = min((sequence for sequence in sequences if sequence is not None), default=None)
            events, size = self.spool.open_amount(name)
            latest = self.pipeline.read_counts.format_latest.get(name)
            received, delivered = rates.rates.get(name, (0.0, 0.0))
            # Between two batches, nothing is sealed or in flight.
            state = "delivering" if courier.state == "idle" and (events or name in rates.moving) else courier.state
            found.append(
                {
                    "name": name,
                    "state": "full" if name in self.disk_budget.reported_full.names else state,
                    "delivery": state,
                    "backlog_events": courier.waiting_events + events,
                    "backlog_bytes": courier.waiting_bytes + size,
                    "oldest_seconds": None if oldest is None else max(0.0, round(now - oldest / 1_000_000, 3)),
                    "last_error": courier.last_error,
                    "last_cause": None if courier.last_cause is None else courier.last_cause.value,
                    "failing_seconds": courier.failing_seconds,
                    "server": courier.server,
                    "full_in_seconds": left.get(name),
                    "backlog_change_per_second": round(rates.changes.get(name, 0.0), 2),
                    "received_per_second": round(received, 2),
                    "delivered_per_second": round(delivered, 2),
                    "last_answer": _answer(courier.last_answer),
                    "last_acceptance": _answer(courier.last_acceptance),
                    "delivered": courier.delivered,
                    "unconfirmed": courier.unconfirmed,
                    "requests": dict(courier.requests),
                    "next_attempt_seconds": courier.next_attempt_in,
                    "body_limit_bytes": courier.learned_body_limit,
                    "late_after_seconds": courier.late_after,
                    **self.quota(name),
                    "format_sampled": self.pipeline.read_counts.format_sampled[name],
                    "format_mismatches": self.pipeline.read_counts.format_mismatches[name],
                    "format_latest_sampled": 0 if latest is None else latest.sampled,
                    "format_latest_mismatches": 0 if latest is None else latest.mismatches,
                }
            )
        return found

    def clocks(self) -> list[JSON]:
        """Returns the sources whose clock must be corrected."""
        return [
            {"address": peer.address, "listener": peer.listener, "name": peer.name, "kind": found.kind,
             "text": found.words, "remedy": found.remedy}
            for peer, found in self.senders.wrong_clocks()
        ]  # fmt: skip

    def unrouted(self) -> list[JSON]:
        """Returns the sources of frames that matched no route."""
        return [
            {"address": peer.address, "listener": peer.listener, "events": peer.unrouted,
             "last_seen": rfc3339(peer.last_seen_ms)}
            for peer in self.senders.unrouted(MAX_UNROUTED)
        ]  # fmt: skip

    def unready(self) -> list[str]:
        """Returns the reasons why the gateway cannot receive messages; empty if it can."""
        return ([] if self.listener_set.open_ else ["the listeners are not open"]) + self.disk_budget.unready()

    def waiting(self) -> tuple[dict[str, int], float]:
        """Returns the number of waiting events of each intake, and the age of the oldest in seconds."""
        rows = self.intakes()
        ages = [float(str(row["oldest_seconds"] or 0)) for row in rows]
        return {str(row["name"]): int(str(row["backlog_events"])) for row in rows}, max(ages, default=0.0)


def _answer(answered: Answered | None) -> JSON | None:
    if answered is None:
        return None
    outcome = answered.outcome
    return {
        "at": rfc3339(int(answered.at * 1000)),
        "outcome": outcome.verdict.value,
        "status": outcome.status,
        "text": outcome.reason or None,
        "accepted": outcome.accepted,
        "first_id": outcome.first_id,
        "last_id": outcome.last_id,
    }
