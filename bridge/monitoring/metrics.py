"""Exports the figures of a running bridge at ``/metrics`` in the Prometheus text format.

This module counts nothing: each scrape reads the integers that the parts of the bridge keep. Sources are never labels,
because a forged address must not become a time series.
"""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from bridge import __version__
from bridge.accounting import UNROUTED
from bridge.monitoring.status import JSON, STATES, Status

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
        yield from self._bridge()

    def _events(self) -> Iterable[Metric]:
        status = self._status
        read_counts = status.pipeline.read_counts
        received = dict.fromkeys(status.listener_set.ports(), 0) | read_counts.by_listener
        yield _counter("events_received", "Frames received.", "listener", received)
        accounts = status.ledger.accounts
        yield _counter(
            "events_delivered", "Events that the collector has accepted.", "intake",
            {name: account.delivered for name, account in accounts.items() if name != UNROUTED},
        )  # fmt: skip
        dropped = dict.fromkeys(REASONS_AT_ZERO, 0) | status.ledger.total().dropped
        yield _counter("events_dropped", "Events dropped, by reason.", "reason", dropped)
        yield _counter(
            "events_filtered", "Frames that matched a route with drop.", "route", read_counts.filtered_by_route
        )
        yield _counter("route_events", "Frames that matched a route.", "route", read_counts.by_route)
        yield _counter(
            "format_sampled",
            "Events checked against their intake's format.",
            "intake",
            read_counts.format_sampled,
        )
        yield _counter(
            "format_mismatch", "Checked events that do not match the format; their parser probably cannot read them.",
            "intake",
            {name: read_counts.format_mismatches[name] for name in read_counts.format_sampled},
        )  # fmt: skip
        held = _gauge("events_quarantined", "Frames held in quarantine.", ("intake", "reason"))
        for (intake, reason), count in status.spool.quarantine.by_intake.items():
            held.add_metric((intake, reason), count)
        yield held
        yield _counter(
            "possible_duplicates", "Events that the collector may have received twice.", "intake",
            {name: account.possible_duplicates for name, account in accounts.items() if name != UNROUTED},
        )  # fmt: skip

    def _intakes(self) -> Iterable[Metric]:
        intakes = self._status.intakes()
        families = {
            key: _gauge(name, help_text, ("intake",))
            for key, name, help_text in (
                ("backlog_bytes", "spool_bytes", "Bytes of waiting events."),
                ("backlog_events", "spool_events", "Waiting events."),
                ("oldest_seconds", "spool_oldest_seconds", "Age of the oldest waiting event."),
            )
        }
        states = _gauge("intake_state", "1 for the current state of an intake, 0 for the others.", ("intake", "state"))
        requests = CounterMetricFamily(
            PREFIX + "requests", "Requests to the collector, by outcome.", labels=("intake", "outcome")
        )
        for intake in intakes:
            name = str(intake["name"])
            for key, family in families.items():
                family.add_metric((name,), _number(intake[key]))
            for state in STATES:
                states.add_metric((name, state), float(state == intake["state"]))
            by_outcome = intake["requests"]
            for outcome, count in by_outcome.items() if isinstance(by_outcome, dict) else ():
                requests.add_metric((name, outcome), count)
        yield from families.values()
        yield states
        yield requests

    def _bridge(self) -> Iterable[Metric]:
        status = self._status
        yield _counter(
            "udp_receive_buffer_drops", "Datagrams dropped by the kernel because the buffer was full.", "listener",
            status.listener_set.kernel_drops(),
        )  # fmt: skip
        refused = CounterMetricFamily(
            PREFIX + "connections_refused", "Connections and datagrams that were rejected, by reason.",
            labels=("listener", "reason"),
        )  # fmt: skip
        for listener, reasons in status.listener_set.rejections().items():
            for reason, count in reasons.items():
                refused.add_metric((listener, reason), count)
        yield refused
        mirror = status.mirror
        yield _counter("copies_sent", "Frames that were also sent to another forwarder.", "target", mirror.sent)
        yield _counter("copies_dropped", "Copies that could not be sent at once.", "target", mirror.dropped)
        yield _one("sources_silent", "Sources that are silent for longer than their expect.", len(status.silent()))
        gaps = sum(peer.gaps.missing for peer in status.peers.all() if peer.gaps is not None)
        yield _one("sequence_missing_events", "Message numbers that were never received, over all sources.", gaps)
        expiry = _gauge("certificate_expiry_seconds", "Seconds until a certificate of this gateway expires.", ("name",))
        for name, left in status.certificates().items():
            expiry.add_metric((name,), left)
        yield expiry
        for name, help_text, histogram in (
            ("delivery_seconds", "Seconds from sealing a batch to its acceptance.", status.runtime_metrics.delivery),
            (
                "timestamp_error_seconds", "Largest difference between the timestamps of a request and of its events.",
                status.runtime_metrics.error,
            ),
        ):  # fmt: skip
            family = HistogramMetricFamily(PREFIX + name, help_text)
            family.add_metric((), histogram.buckets(), histogram.total)
            yield family
        yield _one(
            "ledger_imbalance_events",
            "Imbalance of the ledger; not 0 means a defect.",
            status.ledger.imbalance,
        )
        yield _one("reactor_stall_seconds", "Longest reactor stall in the last minutes.", status.runtime_metrics.stall)
        yield _counter(
            "listener_refused",
            "Connections and datagrams that were rejected.",
            "listener",
            status.listener_set.refused(),
        )
        yield from self._additional()
        if status.cluster_node is not None:
            yield from self._cluster_node(status.cluster_node())
        yield _one("config_last_reload_success", "1 if the last reload was applied.", status.reloaded)
        info = _gauge("config_info", "The configuration in use.", ("sha256",))
        info.add_metric((status.config_sha256,), 1)
        yield info
        build = _gauge("build_info", "The running version.", ("version",))
        build.add_metric((__version__,), 1)
        yield build

    def _cluster_node(self, cluster_node: JSON) -> Iterable[Metric]:
        """Yields the metrics of a shared backlog."""
        yield _one(
            "fleet_broker_up", "1 while a broker accepts this node's batches.", _number(cluster_node["broker_up"])
        )
        yield _one("fleet_couriers", "Nodes that share the request rate.", _number(cluster_node["couriers"]))
        yield _one("fleet_held_bytes", "Bytes in memory of batches taken over.", _number(cluster_node["held_bytes"]))
        alone = cluster_node["alone"]
        yield _one("fleet_alone", "Intakes delivered without a broker.", len(alone) if isinstance(alone, list) else 0)
        depths = _gauge("fleet_queue_batches", "Batches in the shared queue.", ("intake",))
        consumers = _gauge("fleet_queue_couriers", "Couriers that consume from the shared queue.", ("intake",))
        queues = cluster_node["queues"]
        for row in queues if isinstance(queues, list) else ():
            if row["batches"] is not None:
                depths.add_metric((row["intake"],), row["batches"])
                consumers.add_metric((row["intake"],), row["couriers"])
        yield from (depths, consumers)
        accounts = {name: each for name, each in self._status.ledger.accounts.items() if name != UNROUTED}
        yield _counter(
            "fleet_handed_over", "Events handed over to the shared queues, or returned to them.", "intake",
            {name: account.handed_over for name, account in accounts.items()},
        )  # fmt: skip
        yield _counter(
            "fleet_taken_over", "Events taken over from the shared queues.", "intake",
            {name: account.taken_over for name, account in accounts.items()},
        )  # fmt: skip

    def _additional(self) -> Iterable[Metric]:
        """Yields the metrics that are not part of the stable interface."""
        status = self._status
        sources = _gauge("sources", "Sources, in total and by kind.", ("kind",))
        for kind, count in status.senders.counts().items():
            sources.add_metric((kind,), _number(count))
        yield sources
        alarms = _gauge("alarms", "Active alarms, by kind.", ("kind",))
        for kind, count in Counter(kind for kind, _ in status.alarms.active).items():
            alarms.add_metric((kind,), count)
        yield alarms
        outside = status.pipeline.read_counts.outside
        yield CounterMetricFamily(
            PREFIX + "times_not_believed", "Events sent with the time of reception: timestamp out of range.",
            value=outside,
        )  # fmt: skip
        budget = status.disk_budget.report()
        yield _one("spool_used_bytes", "Allocated bytes of the spool.", _number(budget.get("bytes")))
        yield _one("spool_limit_bytes", "Limit of the spool's allocated bytes.", _number(budget.get("limit_bytes")))
        yield _one("uptime_seconds", "Seconds since the start.", status.wall() - status.started)
        if (offset := status.gateway_clock.offset) is not None:
            yield _one("gateway_clock_offset_seconds", "Gateway clock minus collector clock, in seconds.", offset)


def text(status: Status) -> bytes:
    """Returns the response to one scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsCollector(status))
    return generate_latest(registry)


def _counter(name: str, help_text: str, label: str, values: "dict[str, int] | Iterable[tuple[str, int]]") -> Metric:
    family = CounterMetricFamily(PREFIX + name, help_text, labels=(label,))
    for value, count in dict(values).items():
        family.add_metric((value,), count)
    return family


def _gauge(name: str, help_text: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, help_text, labels=labels)


def _one(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, help_text, value=value)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
