"""Builds what observes a running bridge: status, alarms' causes, rates and the journal's minutes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bridge.app.delivery import ClusterParts, DeliveryParts
from bridge.app.ingest import IngestParts
from bridge.app.process import Process
from bridge.app.storage import StorageParts
from bridge.config import Config
from bridge.monitoring.certificate_expiry import CertificateExpiry
from bridge.monitoring.descriptors import DescriptorMonitor
from bridge.monitoring.format_drift import FormatDrift
from bridge.monitoring.forwarder_statistics import ForwarderStatistics
from bridge.monitoring.gateway_clock import ClockWatch
from bridge.monitoring.heartbeat import Heartbeat
from bridge.monitoring.held_frames import HeldFrames
from bridge.monitoring.kept_problems import KeptProblems
from bridge.monitoring.loss_monitor import LossMonitor
from bridge.monitoring.problem_file import ProblemFile
from bridge.monitoring.problem_history import ProblemHistory
from bridge.monitoring.problems.losses import MATCH_LIMIT, NOT_MIRRORED, TRUNCATED
from bridge.monitoring.rate_file import LearnedRates
from bridge.monitoring.rate_history import RateHistory
from bridge.monitoring.rate_monitor import RateMonitor
from bridge.monitoring.rejected_sources import RejectionList
from bridge.monitoring.silent_sources import SilentSources
from bridge.monitoring.source_volumes import SourceVolumes
from bridge.monitoring.sources import SourceList
from bridge.monitoring.status import Status
from bridge.monitoring.waiting_events import WaitingEvents
from bridge.storage.journal_writer import JournalWriter


@dataclass(frozen=True, slots=True)
class MonitoringParts:
    """The observers of a running bridge."""

    journal_writer: JournalWriter
    loss_monitor: LossMonitor
    held_frames: HeldFrames
    silent_sources: SilentSources
    rejection_list: RejectionList
    rate_monitor: RateMonitor
    format_drift: FormatDrift
    certificate_expiry: CertificateExpiry
    descriptor_monitor: DescriptorMonitor
    clock_watch: ClockWatch
    rate_history: RateHistory
    status: Status
    problem_file: ProblemFile
    waiting_events: WaitingEvents
    heartbeat: Heartbeat
    forwarder_statistics: ForwarderStatistics

    def prepare(self, config: Config) -> Callable[[], None]:
        """Returns a function that applies the configuration."""
        return lambda: self.status.change(config.sha256)

    def record_rates(self) -> None:
        """Adds a reading to the history of rates."""
        self.rate_history.beat(*self.status.waiting())


def build_monitoring(
    config: Config, process: Process, storage: StorageParts, delivery: DeliveryParts, cluster: ClusterParts,
    ingest: IngestParts, admin_certificates: Callable[[], dict[str, float]], current_config: Callable[[], Config],
) -> MonitoringParts:  # fmt: skip
    """Builds the observers. ``admin_certificates`` returns when the certificate of the admin server expires,
    ``current_config`` the configuration of the last reload."""
    clock, wall, alarms, ledger = process.reactor.seconds, process.wall, storage.alarms, storage.opened.ledger
    peers, listener_set, started = ingest.peers, ingest.listener_set, clock()
    certificate_expiry = CertificateExpiry(alarms, lambda: listener_set.certificates() | admin_certificates(), wall)
    silent_sources = SilentSources(alarms, peers, wall)
    rejection_list = RejectionList(listener_set, peers, alarms.moment)
    rate_monitor = RateMonitor(
        alarms, peers, LearnedRates(config.spool.directory, process.spool_thread.work),
        clock=clock, wall=wall, settled=storage.settled,
    )  # fmt: skip
    format_drift = FormatDrift(alarms, ingest.pipeline.shape_changes, peers, ingest.pipeline.message_samples, wall)
    rate_history = RateHistory(ledger, delivery.runtime_metrics.delivery, clock=clock, wall=wall)
    senders = SourceList(peers, wall)
    history = ProblemHistory(clock, alarms.moment)
    read_counts = ingest.pipeline.read_counts
    problem_file = ProblemFile(config.spool.directory, process.spool_thread.work, clock)
    loss_monitor = LossMonitor(
        alarms, ledger=ledger, peers=peers, kernel_drops=listener_set.kernel_drops,
        incidents=lambda: {
            MATCH_LIMIT: read_counts.limit_exceeded, TRUNCATED: read_counts.truncated,
            NOT_MIRRORED: ingest.mirror.dropped,
        },
        clock=clock,
    )  # fmt: skip
    held_frames = HeldFrames(alarms, storage.opened.spool.quarantine)
    status = Status(
        ledger=ledger, couriers=cluster.backlogs, spool=storage.opened.spool, pipeline=ingest.pipeline, peers=peers,
        listener_set=listener_set, alarms=alarms, runtime_metrics=delivery.runtime_metrics, config_sha256=config.sha256,
        wall=wall, disk_budget=ingest.disk_budget, sync_monitor=storage.sync_monitor, quota=ingest.quotas.report,
        certificates=certificate_expiry.left, losses=loss_monitor.report,
        incidents=partial(loss_monitor.report, incidents=True), held=held_frames.rows, history=history,
        kept=KeptProblems(problem_file, history),
        drifts=format_drift.rows, senders=senders, mirror=ingest.mirror,
        silent=silent_sources.silent_now, silent_names=lambda: silent_sources.names,
        rate_history=rate_history, gateway_clock=delivery.gateway_clock, started=wall(),
        cluster_node=None if cluster.node is None else cluster.node.report,
        rejected=rejection_list.rejected_now, monotonic_uptime=lambda: clock() - started,
    )  # fmt: skip
    return MonitoringParts(
        JournalWriter(
            storage.opened.journal, ledger, process.spool_thread.run, process.reactor, listener_set.kernel_drops, wall,
            SourceVolumes(peers, ledger, wall).take,
        ),
        loss_monitor, held_frames, silent_sources, rejection_list, rate_monitor, format_drift, certificate_expiry,
        DescriptorMonitor(alarms, listener_set.descriptors_exhausted),
        ClockWatch(
            alarms, wall=wall, is_set=wall.is_set, clock=clock, changed=lambda: ingest.follow_clock(current_config()),
            stepped=senders.forget_clock_offsets,
        ),
        rate_history, status, problem_file, WaitingEvents(alarms, status.intakes),
        Heartbeat(storage.self_events, status, clock),
        ForwarderStatistics(storage.self_events, status, clock),
    )  # fmt: skip
