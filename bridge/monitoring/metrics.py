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
from bridge.monitoring.metric_table import METRICS, PREFIX
from bridge.monitoring.problems.losses import IN_LEDGER
from bridge.monitoring.runtime_metrics import Histogram
from bridge.monitoring.status import JSON, STATES, Status
from bridge.spool.quarantine import REASONS as HELD_REASONS

L = TypeVar("L", str, tuple[str, str], tuple[()])

REASONS_AT_ZERO = (
    *IN_LEDGER,
    *(f"{held}_{how}" for held in HELD_REASONS for how in ("full", "expired")),
)
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
        yield _series("events_received", received)
        yield self._account("events_delivered", "delivered")
        yield _series("events_dropped", dict.fromkeys(REASONS_AT_ZERO, 0) | status.ledger.total().dropped)
        yield _series("events_filtered", read_counts.filtered_by_route)
        yield _series("route_events", read_counts.by_route)
        yield _series("redactions", read_counts.redacted)
        yield _series("match_limit_exceeded", read_counts.limit_exceeded)
        yield _series("frames_truncated", dict.fromkeys(status.listener_set.ports(), 0) | read_counts.truncated)
        sampled = read_counts.format_sampled
        yield _series("format_sampled", sampled)
        yield _series("format_mismatch", {name: read_counts.format_mismatches[name] for name in sampled})
        yield _series("events_quarantined", status.spool.quarantine.by_intake)
        yield self._account("possible_duplicates", "possible_duplicates")

    def _account(self, name: str, figure: str) -> Metric:
        """Returns a counter with one figure of the ledger for each intake."""
        accounts = self._status.ledger.accounts.items()
        return _series(name, {intake: getattr(account, figure) for intake, account in accounts if intake != UNROUTED})

    def _intakes(self) -> Iterable[Metric]:
        intakes = {str(intake["name"]): intake for intake in self._status.intakes()}
        for key, name in (
            ("backlog_bytes", "spool_bytes"),
            ("backlog_events", "spool_events"),
            ("oldest_seconds", "spool_oldest_seconds"),
        ):
            yield _series(name, {intake: _number(row[key]) for intake, row in intakes.items()})
        states = {(name, state): state == row["state"] for name, row in intakes.items() for state in STATES}
        yield _series("intake_state", states)
        yield _series("requests", _flat({name: row["requests"] for name, row in intakes.items()}))

    def _listeners(self) -> Iterable[Metric]:
        listener_set = self._status.listener_set
        yield _series("udp_receive_buffer_drops", listener_set.kernel_drops())
        yield _series("connections_refused", _flat(listener_set.rejections()))
        yield _series("health_checks", listener_set.health_checks())
        yield _series("listener_refused", listener_set.refused())

    def _bridge(self) -> Iterable[Metric]:
        status = self._status
        yield _series("copies_sent", status.mirror.sent)
        yield _series("copies_dropped", status.mirror.dropped)
        yield _one("sources_silent", len(status.silent()))
        gaps = sum(peer.gaps.missing for peer in status.peers.all() if peer.gaps is not None)
        yield _one("sequence_missing_events", gaps)
        yield _series("certificate_expiry_seconds", status.certificates())
        measured = status.runtime_metrics
        yield _histogram("delivery_seconds", measured.delivery)
        yield _histogram("timestamp_error_seconds", measured.error)
        yield _histogram("spool_sync_seconds", status.sync_monitor.commits)
        yield _one("ledger_imbalance_events", status.ledger.imbalance)
        yield _one("reactor_stall_seconds", measured.stall)
        yield _one("config_last_reload_success", status.reloaded)
        yield _series("config_info", {status.config_sha256: 1})
        yield _series("build_info", {__version__: 1})

    def _cluster_node(self, cluster_node: JSON) -> Iterable[Metric]:
        """Yields the metrics of a shared backlog."""
        yield _one("fleet_broker_up", _number(cluster_node["broker_up"]))
        yield _one("fleet_couriers", _number(cluster_node["couriers"]))
        yield _one("fleet_held_bytes", _number(cluster_node["held_bytes"]))
        alone = cluster_node["alone"]
        yield _one("fleet_alone", len(alone) if isinstance(alone, list) else 0)
        queues = cluster_node["queues"]
        rows = [row for row in queues if row["batches"] is not None] if isinstance(queues, list) else []
        for key, name in (("batches", "fleet_queue_batches"), ("couriers", "fleet_queue_couriers")):
            yield _series(name, {row["intake"]: row[key] for row in rows})
        yield self._account("fleet_handed_over", "handed_over")
        yield self._account("fleet_taken_over", "taken_over")

    def _additional(self) -> Iterable[Metric]:
        """Yields the metrics that are not part of the stable interface."""
        status = self._status
        yield _series("sources", {kind: _number(count) for kind, count in status.senders.counts().items()})
        yield _series("alarms", Counter(kind for kind, _ in status.alarms.current))
        yield from _problems(status)
        yield _one("times_not_believed", status.pipeline.read_counts.outside)
        budget = status.disk_budget.report()
        yield _one("spool_used_bytes", _number(budget.get("bytes")))
        yield _one("spool_limit_bytes", _number(budget.get("limit_bytes")))
        yield _one("uptime_seconds", status.uptime())
        if (offset := status.gateway_clock.offset) is not None:
            yield _one("gateway_clock_offset_seconds", offset)


def text(status: Status) -> bytes:
    """Returns the response to one scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsCollector(status))
    return generate_latest(registry)


def _problems(status: Status) -> Iterable[Metric]:
    """Yields the number of problems of each kind and state. Each kind always has a series with its worst state."""
    found = {(kind, described.state): 0 for kind, described in KINDS.items()}
    found |= Counter((problem.kind, problem.severity) for problem in status.problems())
    yield _series("problems", found)


def _series(name: str, values: Mapping[L, float]) -> Metric:
    """Returns a counter or gauge with a value for each label, or tuple of labels."""
    kind = METRICS[name]
    family_of = CounterMetricFamily if kind.type == "counter" else GaugeMetricFamily
    family = family_of(PREFIX + name, kind.help, labels=kind.labels)
    for label, value in values.items():
        family.add_metric((label,) if isinstance(label, str) else label, value)
    return family


def _one(name: str, value: float) -> Metric:
    """Returns a counter or gauge without labels."""
    return _series(name, {(): value})


def _histogram(name: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, METRICS[name].help)
    family.add_metric((), histogram.buckets(), histogram.total)
    return family


def _flat(nested: Mapping[str, object]) -> dict[tuple[str, str], float]:
    return {
        (outer, inner): value
        for outer, values in nested.items() if isinstance(values, dict)
        for inner, value in values.items()
    }  # fmt: skip


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
