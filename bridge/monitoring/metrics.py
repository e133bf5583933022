"""Exports the figures of a running bridge at ``/metrics`` in the Prometheus text format.

This module counts nothing: each scrape reads the integers that the parts of the bridge keep. Sources are never labels,
because a forged address must not become a time series.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from bridge import __version__
from bridge.accounting import UNROUTED
from bridge.monitoring.alarm_kinds import KINDS
from bridge.monitoring.runtime_metrics import Histogram
from bridge.monitoring.status import JSON, STATES, Status

L = TypeVar("L", str, tuple[str, str])

PREFIX = "syslog_bridge_"

REASONS_AT_ZERO = ("spool_full", "disk_full", "spool_write_failed", "quarantine_write_failed", "collector_shortfall")
"Drop reasons exported as 0 before the first drop: Prometheus sees no increase when a series first appears."


class MetricsCollector:
    """Converts a status to metric families (a prometheus_client collector)."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """Yields all metric families with their current values."""
        yield from self._events()
        yield from self._intakes()
        yield from self._listeners()
        yield from self._bridge()
        if self._status.cluster_node is not None:
            yield from self._cluster_node(self._status.cluster_node())
        yield from self._additional()

    def _events(self) -> Iterable[Metric]:
        status = self._status
        read_counts = status.pipeline.read_counts
        received = dict.fromkeys(status.listener_set.ports(), 0) | read_counts.by_listener
        yield _counter("events_received", "Frames received.", "listener", received)
        yield self._account("events_delivered", "Events that the collector has accepted.", "delivered")
        dropped = dict.fromkeys(REASONS_AT_ZERO, 0) | status.ledger.total().dropped
        yield _counter("events_dropped", "Events dropped, by reason.", "reason", dropped)
        filtered = read_counts.filtered_by_route
        yield _counter("events_filtered", "Frames that matched a route with drop.", "route", filtered)
        yield _counter("route_events", "Frames that matched a route.", "route", read_counts.by_route)
        sampled = read_counts.format_sampled
        yield _counter("format_sampled", "Events checked against their intake's format.", "intake", sampled)
        yield _counter(
            "format_mismatch", "Checked events that do not match the format; their parser probably cannot read them.",
            "intake", {name: read_counts.format_mismatches[name] for name in sampled},
        )  # fmt: skip
        held = status.spool.quarantine.by_intake
        yield _gauge("events_quarantined", "Frames held in quarantine.", ("intake", "reason"), held)
        duplicates_help = (
            "Copies of events that the collector may have accepted in excess of one: events of each request whose"
            " response is unknown."
        )
        yield self._account("possible_duplicates", duplicates_help, "possible_duplicates")

    def _account(self, name: str, help_text: str, figure: str) -> Metric:
        """Returns a counter with one figure of the ledger for each intake."""
        accounts = self._status.ledger.accounts.items()
        figures = {intake: getattr(account, figure) for intake, account in accounts if intake != UNROUTED}
        return _counter(name, help_text, "intake", figures)

    def _intakes(self) -> Iterable[Metric]:
        intakes = {str(intake["name"]): intake for intake in self._status.intakes()}
        for key, name, help_text in (
            ("backlog_bytes", "spool_bytes", "Bytes of waiting events."),
            ("backlog_events", "spool_events", "Waiting events."),
            ("oldest_seconds", "spool_oldest_seconds", "Age of the oldest waiting event."),
        ):
            yield _gauge(name, help_text, "intake", {name: _number(row[key]) for name, row in intakes.items()})
        yield _gauge(
            "intake_state", "1 for the current state of an intake, 0 for the others.", ("intake", "state"),
            {(name, state): state == row["state"] for name, row in intakes.items() for state in STATES},
        )  # fmt: skip
        requests = {name: row["requests"] for name, row in intakes.items()}
        yield _counter("requests", "Requests to the collector, by outcome.", ("intake", "outcome"), _flat(requests))

    def _listeners(self) -> Iterable[Metric]:
        listener_set = self._status.listener_set
        drops_help = "Datagrams dropped by the kernel because the buffer was full."
        yield _counter("udp_receive_buffer_drops", drops_help, "listener", listener_set.kernel_drops())
        refused, rejections = listener_set.refused(), _flat(listener_set.rejections())
        reasons_help = "Connections and datagrams that were rejected, by reason."
        yield _counter("connections_refused", reasons_help, ("listener", "reason"), rejections)
        checks_help = "Connections without data and requests for health, as load balancers make them."
        yield _counter("health_checks", checks_help, "listener", listener_set.health_checks())
        yield _counter("listener_refused", "Connections and datagrams that were rejected.", "listener", refused)

    def _bridge(self) -> Iterable[Metric]:
        status = self._status
        mirror = status.mirror
        yield _counter("copies_sent", "Frames that were also sent to another forwarder.", "target", mirror.sent)
        yield _counter("copies_dropped", "Copies that could not be sent at once.", "target", mirror.dropped)
        yield _one("sources_silent", "Sources that are silent for longer than their expect.", len(status.silent()))
        gaps = sum(peer.gaps.missing for peer in status.peers.all() if peer.gaps is not None)
        yield _one("sequence_missing_events", "Message numbers that were never received, over all sources.", gaps)
        expiry_help = "Seconds until a certificate of this gateway expires."
        yield _gauge("certificate_expiry_seconds", expiry_help, "name", status.certificates())
        measured = status.runtime_metrics
        yield _histogram("delivery_seconds", "Seconds from sealing a batch to its acceptance.", measured.delivery)
        error_help = "Largest difference between the timestamps of a request and of its events."
        yield _histogram("timestamp_error_seconds", error_help, measured.error)
        sync_help = "Seconds of a group commit: the disk sync that RELP and HTTPS senders wait for."
        yield _histogram("spool_sync_seconds", sync_help, status.sync_monitor.commits)
        imbalance = status.ledger.imbalance
        yield _one("ledger_imbalance_events", "Imbalance of the ledger; not 0 means a defect.", imbalance)
        yield _one("reactor_stall_seconds", "Longest reactor stall in the last minutes.", measured.stall)
        yield _one("config_last_reload_success", "1 if the last reload was applied.", status.reloaded)
        yield _gauge("config_info", "The configuration in use.", "sha256", {status.config_sha256: 1})
        yield _gauge("build_info", "The running version.", "version", {__version__: 1})

    def _cluster_node(self, cluster_node: JSON) -> Iterable[Metric]:
        """Yields the metrics of a shared backlog."""
        broker_up = _number(cluster_node["broker_up"])
        yield _one("fleet_broker_up", "1 while a broker accepts this node's batches.", broker_up)
        yield _one("fleet_couriers", "Nodes that share the request rate.", _number(cluster_node["couriers"]))
        yield _one("fleet_held_bytes", "Bytes in memory of batches taken over.", _number(cluster_node["held_bytes"]))
        alone = cluster_node["alone"]
        yield _one("fleet_alone", "Intakes delivered without a broker.", len(alone) if isinstance(alone, list) else 0)
        queues = cluster_node["queues"]
        rows = [row for row in queues if row["batches"] is not None] if isinstance(queues, list) else []
        for key, name, help_text in (
            ("batches", "fleet_queue_batches", "Batches in the shared queue."),
            ("couriers", "fleet_queue_couriers", "Couriers that consume from the shared queue."),
        ):
            yield _gauge(name, help_text, "intake", {row["intake"]: row[key] for row in rows})
        handed_over_help = "Events handed over to the shared queues, or returned to them."
        yield self._account("fleet_handed_over", handed_over_help, "handed_over")
        yield self._account("fleet_taken_over", "Events taken over from the shared queues.", "taken_over")

    def _additional(self) -> Iterable[Metric]:
        """Yields the metrics that are not part of the stable interface."""
        status = self._status
        counts = {kind: _number(count) for kind, count in status.senders.counts().items()}
        yield _gauge("sources", "Sources, in total and by kind.", "kind", counts)
        active = Counter(kind for kind, _ in status.alarms.current)
        yield _gauge("alarms", "Active alarms, by kind.", "kind", active)
        yield from _problems(status)
        outside_help = "Events sent with the time of reception: timestamp out of range."
        outside = status.pipeline.read_counts.outside
        yield CounterMetricFamily(PREFIX + "times_not_believed", outside_help, value=outside)
        budget = status.disk_budget.report()
        yield _one("spool_used_bytes", "Allocated bytes of the spool.", _number(budget.get("bytes")))
        yield _one("spool_limit_bytes", "Limit of the spool's allocated bytes.", _number(budget.get("limit_bytes")))
        yield _one("uptime_seconds", "Seconds since the start.", status.uptime())
        if (offset := status.gateway_clock.offset) is not None:
            yield _one("gateway_clock_offset_seconds", "Gateway clock minus collector clock, in seconds.", offset)


def text(status: Status) -> bytes:
    """Returns the response to one scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsCollector(status))
    return generate_latest(registry)


def _problems(status: Status) -> Iterable[Metric]:
    """Yields the number of problems of each kind and state. Each kind always has a series with its worst state."""
    found = {(kind, described.state): 0 for kind, described in KINDS.items()}
    found |= Counter((problem.kind, problem.severity) for problem in status.problems())
    yield _gauge("problems", "Current problems, by kind and state.", ("kind", "state"), found)


Label = str | tuple[str, ...]
"A label's name or value, or those of several labels."


def _counter(name: str, help_text: str, label: Label, values: Mapping[L, float]) -> Metric:
    return _filled(CounterMetricFamily(PREFIX + name, help_text, labels=_tuple(label)), values)


def _gauge(name: str, help_text: str, label: Label, values: Mapping[L, float]) -> Metric:
    return _filled(GaugeMetricFamily(PREFIX + name, help_text, labels=_tuple(label)), values)


def _histogram(name: str, help_text: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, help_text)
    family.add_metric((), histogram.buckets(), histogram.total)
    return family


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[L, float]) -> Metric:
    for label, value in values.items():
        family.add_metric(_tuple(label), value)
    return family


def _tuple(label: Label) -> tuple[str, ...]:
    return (label,) if isinstance(label, str) else label


def _flat(nested: Mapping[str, object]) -> dict[tuple[str, str], float]:
    return {
        (outer, inner): value
        for outer, values in nested.items() if isinstance(values, dict)
        for inner, value in values.items()
    }  # fmt: skip


def _one(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, help_text, value=value)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
