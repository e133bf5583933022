"""Lists the metrics: their type, their meaning and their labels. The page on metrics is generated from it."""

from dataclasses import dataclass
from typing import Literal

PREFIX = "syslog_bridge_"
"The beginning of every name."


@dataclass(frozen=True, slots=True)
class MetricKind:
    """Describes a metric. The exported name of a counter ends in ``_total``."""

    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()

    def exported(self, name: str) -> str:
        """Returns the name in a scrape."""
        return f"{PREFIX}{name}{'_total' if self.type == 'counter' else ''}"


def _counter(help_text: str, *labels: str) -> MetricKind:
    return MetricKind("counter", help_text, labels)


def _gauge(help_text: str, *labels: str) -> MetricKind:
    return MetricKind("gauge", help_text, labels)


METRICS: dict[str, MetricKind] = {
    # Events.
    "events_received": _counter("Frames received.", "listener"),
    "events_delivered": _counter("Events that the collector has accepted.", "intake"),
    "events_dropped": _counter("Events dropped, by reason.", "reason"),
    "events_filtered": _counter("Frames that matched a route with drop.", "route"),
    "route_events": _counter("Frames that matched a route.", "route"),
    "redactions": _counter("Texts that rules of redact have replaced.", "rule"),
    "match_limit_exceeded": _counter(
        "Messages on which an expression of a route exceeded its match limit, so that it did not match.", "route"
    ),
    "frames_truncated": _counter("Frames that were truncated to max_frame_size.", "listener"),
    "format_sampled": _counter("Events checked against their intake's format.", "intake"),
    "format_mismatch": _counter(
        "Checked events that do not match the format; their parser probably cannot read them.", "intake"
    ),
    "events_quarantined": _gauge("Frames held in quarantine.", "intake", "reason"),
    "possible_duplicates": _counter(
        "Copies of events that the collector may have accepted in excess of one: events of each request whose"
        " response is unknown.",
        "intake",
    ),
    "times_not_believed": _counter("Events sent with the time of reception: timestamp out of range."),
    # Intakes.
    "spool_bytes": _gauge("Bytes of waiting events.", "intake"),
    "spool_events": _gauge("Waiting events.", "intake"),
    "spool_oldest_seconds": _gauge("Age of the oldest waiting event.", "intake"),
    "intake_state": _gauge("1 for the current state of an intake, 0 for the others.", "intake", "state"),
    "requests": _counter("Requests to the collector, by outcome.", "intake", "outcome"),
    "delivery_seconds": MetricKind("histogram", "Seconds from sealing a batch to its acceptance."),
    "timestamp_error_seconds": MetricKind(
        "histogram", "Largest difference between the timestamps of a request and of its events."
    ),
    # Listeners and sources.
    "udp_receive_buffer_drops": _counter("Datagrams dropped by the kernel because the buffer was full.", "listener"),
    "connections_refused": _counter("Connections and datagrams that were rejected, by reason.", "listener", "reason"),
    "listener_refused": _counter("Connections and datagrams that were rejected.", "listener"),
    "health_checks": _counter(
        "Connections without data and requests for health, as load balancers make them.", "listener"
    ),
    "sources": _gauge("Sources, in total and by kind.", "kind"),
    "sources_silent": _gauge("Sources that are silent for longer than alert_if_silent_for allows."),
    "sequence_missing_events": _gauge("Message numbers that were never received, over all sources."),
    "copies_sent": _counter("Frames that were also sent to another forwarder.", "target"),
    "copies_dropped": _counter("Copies that could not be sent at once.", "target"),
    # The gateway.
    "problems": _gauge("Current problems, by kind and state.", "kind", "state"),
    "alarms": _gauge("Active alarms, by kind.", "kind"),
    "spool_used_bytes": _gauge("Allocated bytes of the spool."),
    "spool_limit_bytes": _gauge("Limit of the spool's allocated bytes."),
    "spool_sync_seconds": MetricKind(
        "histogram", "Seconds of a group commit: the disk sync that RELP and HTTPS senders wait for."
    ),
    "certificate_expiry_seconds": _gauge("Seconds until a certificate of this gateway expires.", "name"),
    "gateway_clock_offset_seconds": _gauge("Gateway clock minus collector clock, in seconds."),
    "reactor_stall_seconds": _gauge("Longest reactor stall in the last minutes."),
    "ledger_imbalance_events": _gauge("Imbalance of the ledger; not 0 means a defect."),
    "config_last_reload_success": _gauge("1 if the last reload was applied."),
    "config_info": _gauge("The configuration in use.", "sha256"),
    "build_info": _gauge("The running version.", "version"),
    "uptime_seconds": _gauge("Seconds since the start."),
    # A shared backlog.
    "fleet_broker_up": _gauge("1 while a broker accepts this node's batches."),
    "fleet_alone": _gauge("Intakes delivered without a broker."),
    "fleet_queue_batches": _gauge("Batches in the shared queue.", "intake"),
    "fleet_queue_couriers": _gauge("Couriers that consume from the shared queue.", "intake"),
    "fleet_couriers": _gauge("Nodes that share the request rate."),
    "fleet_handed_over": _counter("Events handed over to the shared queues, or returned to them.", "intake"),
    "fleet_taken_over": _counter("Events taken over from the shared queues.", "intake"),
    "fleet_held_bytes": _gauge("Bytes in memory of batches taken over."),
}
"All metrics by their name without prefix and suffix."
