"""``/metrics``: the figures of a running bridge in Prometheus' text form, read when they are asked for.

Nothing is counted here: each scrape reads the plain integers that the parts keep. Sources are never labels; a forged
address must not become a time series.
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
"Reasons for a drop that are there before the first: an increase from nothing is none to Prometheus."


class MetricsCollector:
    """A prometheus_client collector over a status."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """All families, made anew."""
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
        yield _counter("events_dropped", "Events that are lost, by reason.", "reason", dropped)
        yield _counter(
            "events_filtered", "Frames that matched a route that drops.", "route", read_counts.filtered_by_route
        )
        yield _counter("route_events", "Frames that matched a route.", "route", read_counts.by_route)
        yield _counter(
            "format_sampled",
            "Events that were held against their intake's format.",
            "intake",
            read_counts.format_sampled,
        )
        yield _counter(
            "format_mismatch", "Those of them that do not look like it: probably nobody parses them.", "intake",
            {name: read_counts.format_mismatches[name] for name in read_counts.format_sampled},
        )  # fmt: skip
        held = _gauge("events_quarantined", "Frames held in quarantine.", ("intake", "reason"))
        for (intake, reason), count in status.spool.quarantine.by_intake.items():
            held.add_metric((intake, reason), count)
        yield held
        yield _counter(
            "possible_duplicates", "Events that the collector may have got twice.", "intake",
            {name: account.possible_duplicates for name, account in accounts.items() if name != UNROUTED},
        )  # fmt: skip

    def _intakes(self) -> Iterable[Metric]:
        intakes = self._status.intakes()
        families = {
            key: _gauge(name, words, ("intake",))
            for key, name, words in (
                ("backlog_bytes", "spool_bytes", "Bytes of events that wait."),
                ("backlog_events", "spool_events", "Events that wait."),
                ("oldest_seconds", "spool_oldest_seconds", "Age of the oldest event that waits."),
            )
        }
        states = _gauge("intake_state", "1 for the state that an intake is in.", ("intake", "state"))
        requests = CounterMetricFamily(
            PREFIX + "requests", "Requests to the collector, by outcome.", labels=("intake", "outcome")
        )
        for intake in intakes:
            name = str(intake["name"])
            for key, family in families.items():
                family.add_metric((name,), _number(intake[key]))
            for state in STATES:
                states.add_metric((name, state), float(state == intake["state"]))
            made = intake["requests"]
            for outcome, count in made.items() if isinstance(made, dict) else ():
                requests.add_metric((name, outcome), count)
        yield from families.values()
        yield states
        yield requests

    def _bridge(self) -> Iterable[Metric]:
        status = self._status
        yield _counter(
            "udp_receive_buffer_drops", "Datagrams that the kernel dropped, its buffer being full.", "listener",
            status.listener_set.kernel_drops(),
        )  # fmt: skip
        refused = CounterMetricFamily(
            PREFIX + "connections_refused", "Connections and datagrams that were not let in, by reason.",
            labels=("listener", "reason"),
        )  # fmt: skip
        for listener, reasons in status.listener_set.rejections().items():
            for reason, count in reasons.items():
                refused.add_metric((listener, reason), count)
        yield refused
        mirror = status.mirror
        yield _counter("copies_sent", "Frames that were sent to another forwarder too.", "target", mirror.sent)
        yield _counter("copies_dropped", "Copies that could not be sent at once.", "target", mirror.dropped)
        yield _one("sources_silent", "Sources that are silent for longer than their expect.", len(status.silent()))
        gaps = sum(peer.gaps.missing for peer in status.peers.all() if peer.gaps is not None)
        yield _one("sequence_missing_events", "Message numbers that were never received, of all sources.", gaps)
        expiry = _gauge("certificate_expiry_seconds", "Until a certificate of ours expires.", ("name",))
        for name, left in status.certificates().items():
            expiry.add_metric((name,), left)
        yield expiry
        for name, words, histogram in (
            ("delivery_seconds", "From sealing a batch to its acceptance.", status.runtime_metrics.delivery),
            ("timestamp_error_seconds", "From a request's time to its events', at most.", status.runtime_metrics.error),
        ):  # fmt: skip
            family = HistogramMetricFamily(PREFIX + name, words)
            family.add_metric((), histogram.buckets(), histogram.total)
            yield family
        yield _one("ledger_imbalance_events", "Not 0: a defect.", status.ledger.imbalance)
        yield _one(
            "reactor_stall_seconds", "Longest time that the reactor was held, lately.", status.runtime_metrics.stall
        )
        yield _counter(
            "listener_refused",
            "Connections and datagrams that were not let in.",
            "listener",
            status.listener_set.refused(),
        )
        yield from self._beside()
        if status.cluster_node is not None:
            yield from self._cluster_node(status.cluster_node())
        yield _one("config_last_reload_success", "1 if the last reload was applied.", status.reloaded)
        info = _gauge("config_info", "The configuration that is in use.", ("sha256",))
        info.add_metric((status.config_sha256,), 1)
        yield info
        build = _gauge("build_info", "The version that is running.", ("version",))
        build.add_metric((__version__,), 1)
        yield build

    def _cluster_node(self, cluster_node: JSON) -> Iterable[Metric]:
        """Where a backlog is shared."""
        yield _one("fleet_broker_up", "1 while a broker takes batches of ours.", _number(cluster_node["broker_up"]))
        yield _one("fleet_couriers", "Nodes that share the request rate.", _number(cluster_node["couriers"]))
        yield _one("fleet_held_bytes", "Of batches taken over, in memory.", _number(cluster_node["held_bytes"]))
        alone = cluster_node["alone"]
        yield _one("fleet_alone", "Intakes delivered without a broker.", len(alone) if isinstance(alone, list) else 0)
        depths = _gauge("fleet_queue_batches", "Batches in the shared queue.", ("intake",))
        consumers = _gauge("fleet_queue_couriers", "Couriers that take from it.", ("intake",))
        queues = cluster_node["queues"]
        for row in queues if isinstance(queues, list) else ():
            if row["batches"] is not None:
                depths.add_metric((row["intake"],), row["batches"])
                consumers.add_metric((row["intake"],), row["couriers"])
        yield from (depths, consumers)
        accounts = {name: each for name, each in self._status.ledger.accounts.items() if name != UNROUTED}
        yield _counter(
            "fleet_handed_over", "Events handed over to the shared queues, or given back.", "intake",
            {name: account.handed_over for name, account in accounts.items()},
        )  # fmt: skip
        yield _counter(
            "fleet_taken_over", "Events taken over from the shared queues.", "intake",
            {name: account.taken_over for name, account in accounts.items()},
        )  # fmt: skip

    def _beside(self) -> Iterable[Metric]:
        """What the contract does not ask for."""
        status = self._status
        senders = _gauge("sources", "Senders: all, and those of a kind.", ("kind",))
        for kind, count in status.senders.counts().items():
            senders.add_metric((kind,), _number(count))
        yield senders
        alarms = _gauge("alarms", "What is wrong now, by kind.", ("kind",))
        for kind, count in Counter(kind for kind, _ in status.alarms.active).items():
            alarms.add_metric((kind,), count)
        yield alarms
        outside = status.pipeline.read_counts.outside
        yield CounterMetricFamily(PREFIX + "times_not_believed", "Events sent with their reception.", value=outside)
        budget = status.disk_budget.report()
        yield _one("spool_used_bytes", "Allocated bytes of the spool.", _number(budget.get("bytes")))
        yield _one("spool_limit_bytes", "What the spool may hold.", _number(budget.get("limit_bytes")))
        yield _one("uptime_seconds", "Since the start.", status.wall() - status.started)
        if (offset := status.gateway_clock.offset) is not None:
            yield _one("gateway_clock_offset_seconds", "Our clock less the collector's.", offset)


def text(status: Status) -> bytes:
    """One scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsCollector(status))
    return generate_latest(registry)


def _counter(name: str, words: str, label: str, values: "dict[str, int] | Iterable[tuple[str, int]]") -> Metric:
    family = CounterMetricFamily(PREFIX + name, words, labels=(label,))
    for value, count in dict(values).items():
        family.add_metric((value,), count)
    return family


def _gauge(name: str, words: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, words, labels=labels)


def _one(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, words, value=value)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
