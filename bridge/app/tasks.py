"""Runs the periodic tasks of a bridge."""

from bridge.app.process import Process
from bridge.app.reload import Subsystems
from bridge.cluster.node import EVERY as CLUSTER_EVERY
from bridge.cluster.node import ClusterNode
from bridge.config import Config
from bridge.host.memory import EVERY as MEMORY_EVERY
from bridge.host.memory import Allocator
from bridge.host.periodic import PeriodicTasks
from bridge.ingest.peers import EXPIRE_EVERY as PEERS_EVERY
from bridge.monitoring.alarms import EVERY as ALARMS_EVERY
from bridge.monitoring.certificate_expiry import EVERY as CERTIFICATES_EVERY
from bridge.monitoring.format_drift import EVERY as DRIFT_EVERY
from bridge.monitoring.forwarder_statistics import EVERY as STATISTICS_EVERY
from bridge.monitoring.gateway_clock import EVERY as CLOCK_EVERY
from bridge.monitoring.heartbeat import EVERY as HEARTBEAT_EVERY
from bridge.monitoring.held_frames import EVERY as HELD_EVERY
from bridge.monitoring.loss_monitor import EVERY
from bridge.monitoring.problem_history import EVERY as PROBLEMS_EVERY
from bridge.monitoring.rate_history import EVERY as RATES_EVERY
from bridge.monitoring.rate_monitor import EVERY as RATE_MONITOR_EVERY
from bridge.monitoring.silent_sources import EVERY as SILENCE_EVERY
from bridge.monitoring.sync_monitor import EVERY as SYNC_EVERY
from bridge.monitoring.waiting_events import EVERY as WAITING_EVERY
from bridge.storage import from_config as storage_config
from bridge.storage.archive_upkeep import EVERY as ARCHIVE_EVERY
from bridge.storage.disk_budget import EVERY as BUDGET_EVERY
from bridge.storage.retention import EVERY as EXPIRE_EVERY
from bridge.storage.unrecovered import EVERY as UNRECOVERED_EVERY
from bridge.tls.seen_clients import EVERY as CLIENTS_EVERY
from bridge.util.counts import counted

MANAGER_INTERVAL = 10.0
"Seconds between two notifications of the service manager, unless its watchdog needs them more often."


class Tasks(PeriodicTasks):
    """Periodic tasks of one bridge. ``node`` is its node of the cluster, if the backlog is shared."""

    def __init__(self, config: Config, process: Process, parts: Subsystems, node: ClusterNode | None) -> None:
        super().__init__(process.reactor)
        self._process = process
        self._allocator = Allocator()
        self._parts = parts
        storage, ingest, monitoring = parts.storage, parts.ingest, parts.monitoring
        metrics, manager = parts.delivery.runtime_metrics, process.manager
        self._sealer = self.add(self._seal_due, storage_config.seal_every(config))
        for job, every in (
            (ingest.disk_budget.look, BUDGET_EVERY),
            (storage.fsync_policy.look, BUDGET_EVERY),
            (storage.sync_monitor.look, SYNC_EVERY),
            (monitoring.loss_monitor.look, EVERY),
            (monitoring.held_frames.look, HELD_EVERY),
            (storage.alarms.look, ALARMS_EVERY),
            (ingest.quotas.look, EVERY),
            (storage.retention.look, EXPIRE_EVERY),
            (storage.archive_upkeep.look, ARCHIVE_EVERY),
            (storage.unrecovered.look, UNRECOVERED_EVERY),
            (metrics.tick, metrics.TICK),
            (monitoring.certificate_expiry.look, CERTIFICATES_EVERY),
            (monitoring.record_rates, RATES_EVERY),
            (monitoring.waiting_events.look, WAITING_EVERY),
            (monitoring.status.note_problems, PROBLEMS_EVERY),
            (self._end_watches, EVERY),
            (ingest.seen_clients.look, CLIENTS_EVERY),
            (monitoring.descriptor_monitor.look, EVERY),
            (self._return_memory, MEMORY_EVERY),
            (self._expire_sources, PEERS_EVERY),
            (self._renew_lock, EVERY),
            (monitoring.clock_watch.look, CLOCK_EVERY),
            (monitoring.silent_sources.look, SILENCE_EVERY),
            (monitoring.rate_monitor.look, RATE_MONITOR_EVERY),
            (monitoring.heartbeat.look, HEARTBEAT_EVERY),
            (monitoring.forwarder_statistics.look, STATISTICS_EVERY),
            (monitoring.format_drift.look, DRIFT_EVERY),
            (self.notify_manager, min(MANAGER_INTERVAL, (manager.watchdog or MANAGER_INTERVAL) / 3)),
        ):
            self.add(job, every)
        if node is not None:
            self.add(node.look, CLUSTER_EVERY)

    def change(self, config: Config) -> None:
        """Applies another configuration, and checks its certificates."""
        self._parts.monitoring.certificate_expiry.look()
        every = storage_config.seal_every(config)
        if self._sealer.running and self._sealer.interval != every:
            self._sealer.stop()
            self._sealer.start(every, now=False)

    def notify_manager(self) -> None:
        """Sends the watchdog's signal and a status line to the service manager."""
        total = self._parts.storage.opened.ledger.total()
        self._process.manager.notify_watchdog()
        alarms = len(self._parts.storage.alarms.active)
        self._process.manager.status(
            f"{total.received:,} received, {total.delivered:,} delivered, {total.spooled:,} waiting;"
            f" {counted(alarms, 'alarm') if alarms else 'no alarms'}"
        )

    def _seal_due(self) -> None:
        spool, ingest = self._parts.storage.opened.spool, self._parts.ingest
        if ingest.pipeline.spool_writer.backpressure.queues():
            # Acknowledged inputs are paused for room even with `drop-oldest`, so they must be resumed here. Held events
            # whose connection has ended must be appended, too.
            ingest.pipeline.spool_writer.resume()
        spool.seal_due()
        self._parts.delivery.courier_set.tidy(writes=lambda intake: spool.oldest_open(intake) is not None)
        ingest.listener_set.check_idle()

    def _expire_sources(self) -> None:
        now_ms = int(self._process.wall() * 1000)
        self._parts.ingest.peers.expire(now_ms, settled=self._parts.storage.settled())

    def _renew_lock(self) -> None:
        self._process.spool_thread.work(self._parts.storage.opened.spool.renew_lock, lambda nothing: None)

    def _return_memory(self) -> None:
        self._allocator.return_free()

    def _end_watches(self) -> None:
        self._parts.ingest.pipeline.message_samples.forget_watches(self._process.reactor.seconds())
