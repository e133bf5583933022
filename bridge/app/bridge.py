"""Builds the running gateway from a configuration. This is the only place that connects the packages.

Start order: spool (lock, recovery), couriers, admin server, listeners. The listeners are last, so that no message is
received before it can be stored. Stop order: close the listeners, drain the sockets, wait for responses, seal all
batches.
"""

import time
from collections.abc import Callable, Mapping

from twisted.internet import task
from twisted.logger import Logger

from bridge.accounting import Ledger
from bridge.accounting.journal import Journal
from bridge.admin.control import Control
from bridge.admin.control_commands import OPERATOR_ERRORS, on_bridge
from bridge.admin.routes import Routes
from bridge.admin.server import AdminServer
from bridge.app.reload import Reload, ReloadTargets
from bridge.cluster import from_config as cluster_config
from bridge.cluster.backlog_view import BacklogView, BacklogViews
from bridge.cluster.consumer import acknowledge_all
from bridge.cluster.node import EVERY as CLUSTER_EVERY
from bridge.cluster.node import ClusterNode
from bridge.cluster.node_name import node_name
from bridge.config import Config, Secret, SharedBacklog, load
from bridge.config.subprocess_load import is_large, load_in_subprocess
from bridge.deliver import from_config as deliver_config
from bridge.deliver.context import DeliveryContext
from bridge.deliver.courier import Courier
from bridge.deliver.couriers import CourierSet
from bridge.deliver.dispatcher import Dispatcher
from bridge.host import logs
from bridge.host.interfaces import Reactor
from bridge.host.log_throttle import LogThrottle
from bridge.host.periodic import PeriodicTasks
from bridge.host.systemd import ServiceManager
from bridge.host.waiting import with_timeout
from bridge.ingest import from_config as ingest_config
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.mirror import Mirror
from bridge.ingest.peers import Peers
from bridge.ingest.pipeline import Pipeline
from bridge.listen.https import HttpsListener, IntakeKeys
from bridge.listen.listener_set import ListenerSet
from bridge.monitoring import metrics
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.certificate_expiry import EVERY as CERTIFICATES_EVERY
from bridge.monitoring.certificate_expiry import CertificateExpiry
from bridge.monitoring.gateway_clock import GatewayClock
from bridge.monitoring.loss_monitor import EVERY, LossMonitor
from bridge.monitoring.message_preview import MessagePreview
from bridge.monitoring.rate_history import EVERY as RATES_EVERY
from bridge.monitoring.rate_history import RateHistory
from bridge.monitoring.runtime_metrics import RuntimeMetrics
from bridge.monitoring.self_events import SelfEvents
from bridge.monitoring.silent_sources import EVERY as SILENCE_EVERY
from bridge.monitoring.silent_sources import SilentSources
from bridge.monitoring.sources import SourceList
from bridge.monitoring.status import Status
from bridge.operations.drain import Drain
from bridge.operations.running_session import RunningSession
from bridge.spool import Batch, Pack, Spool, write_cache
from bridge.spool.archive import Archive
from bridge.spool.fsync_policy import FsyncPolicy
from bridge.spool.group_commit import GroupCommit
from bridge.storage import from_config as storage_config
from bridge.storage.budget_members import KeptArchive
from bridge.storage.delivery_store import DeliveryStore
from bridge.storage.disk_budget import EVERY as BUDGET_EVERY
from bridge.storage.disk_budget import DiskBudget
from bridge.storage.journal_writer import JournalWriter
from bridge.storage.orphaned_archive import OrphanedArchive
from bridge.storage.quota import Quotas
from bridge.storage.retention import EVERY as EXPIRE_EVERY
from bridge.storage.retention import Retention
from bridge.storage.spool_thread import SpoolThread

log = Logger(namespace="app")

RESPONSE_TIMEOUT = 5.0
"Seconds to wait for requests in flight at the end."
SEAL_TIMEOUT = 2.0
"Seconds to wait for the spool thread at the end."
HAND_OVER_TIMEOUT = 0.5
"Further seconds at the end to hand batches over to the shared queues."
MANAGER_INTERVAL = 10.0
"Seconds between two notifications of the service manager, unless its watchdog needs them more often."

ARCHIVE = ".archive"
ARCHIVE_EVERY = 30.0
"Seconds between two checks of the archive."


class Bridge:
    """Runs one configuration.

    ``wall`` is the only source of wall time, in seconds since the epoch. ``recent`` has the last lines of the log.
    ``listening``: False for a bridge that only delivers what its spool holds.
    """

    def __init__(
        self,
        config: Config,
        reactor: Reactor,
        *,
        listening: bool = True,
        wall: Callable[[], float] = time.time,
        recent: logs.Recent | None = None,
        manager: ServiceManager | None = None,
    ) -> None:
        self.manager = manager or ServiceManager()
        self.config = config
        self.ledger = Ledger()
        self._reactor = reactor
        self._wall = wall
        self._spool_thread = SpoolThread(reactor)
        work = self._spool_thread.work
        self._log_throttle = LogThrottle(reactor)
        self._stopped = False
        self._listening = listening
        self.peers = Peers(ingest_config.router(config))
        self.spool = self._make_spool()
        self.self_events = SelfEvents(config, self.spool, self.ledger, wall)
        self.alarms = Alarms(self.self_events.emit)
        self.runtime_metrics = RuntimeMetrics(reactor.seconds)
        self._fsync_policy = FsyncPolicy(
            config.spool.fsync, directory=config.spool.directory, clock=reactor.seconds, wall=wall,
            on_error=self._log_throttle.log_error_from_thread,
        )  # fmt: skip
        self._group_commit = GroupCommit(self.spool, self._fsync_policy, work=work)
        journal = Journal(config.spool.directory / ".ledger", keep=config.ledger.keep, wall=wall)
        journal.on_error = self._log_throttle.log_error_from_thread
        self.journal_writer = JournalWriter(
            journal, self.ledger, self._spool_thread.run, reactor, self._kernel_drops, wall
        )
        self.gateway_clock = GatewayClock(self.alarms, wall=wall)
        self.dispatcher = Dispatcher(
            reactor, connections=config.collector.connections, rate=config.collector.max_request_rate,
            bandwidth=deliver_config.bandwidth(config),
        )  # fmt: skip
        self.courier_set = CourierSet(config, reactor, context=self._make_delivery_context())
        self.couriers = self.courier_set.couriers
        self.spool.on_sealed = self._on_sealed
        # Set below, once the delivery context exists. Nothing uses it before.
        self.cluster_node: ClusterNode | None = None
        backlogs: Mapping[str, Courier | BacklogView] = self.couriers
        if config.spool.share is not None:
            backlogs = BacklogViews(lambda: iter(list(self.couriers)), lambda name: self._existing_node().view(name))
        self.disk_budget = DiskBudget(
            self.spool, terms=storage_config.budget_terms(config), fsync_policy=self._fsync_policy, members=backlogs,
            ledger=self.ledger, alarms=self.alarms, work=work, clock=reactor.seconds,
        )  # fmt: skip
        if self.spool.archive is not None:
            self.disk_budget.archive = KeptArchive(self.spool.archive)
        self.quotas = Quotas(
            config.spool.directory / ".quota.json", {name: intake.quota for name, intake in config.intakes.items()},
            deliverers=backlogs, alarms=self.alarms, wall=wall, work=work,
        )  # fmt: skip
        self.expiry = Retention(config, self.spool, self.ledger, work)
        self._left_archive = OrphanedArchive(config.spool.directory / ARCHIVE, self.alarms, work)
        self.pipeline = Pipeline(
            spool=self.spool,
            ledger=self.ledger,
            wall=wall,
            limits=ingest_config.group_limits(config),
            truncate=config.oversize == "truncate",
            on_error=self._log_throttle.log_error,
            room=self.disk_budget,
            message_samples=MessageSamples(on=config.admin.show_messages),
        )
        self.disk_budget.on_room = self.pipeline.spool_writer.resume
        self._keys = IntakeKeys(config)
        self.pipeline.mirror = self.mirror = Mirror(reactor)
        self.silent_sources = SilentSources(self.alarms, self.peers, wall)
        self.listener_set = ListenerSet(
            config,
            reactor=reactor,
            pipeline=self.pipeline,
            peers=self.peers,
            commit=self._group_commit.after,
            store=self.manager,
            kinds={
                "https": lambda listener, bound, listener_context: HttpsListener(
                    listener, bound, listener_context, self._keys, wall
                )
            },
        )
        if config.spool.share is not None:
            self.cluster_node = self._make_cluster_node(config.spool.share)
            self.courier_set.subscribe(self.cluster_node.configure_intake)
        self._loss_monitor = LossMonitor(
            self.alarms, ledger=self.ledger, peers=self.peers, kernel_drops=self.listener_set.kernel_drops,
            clock=reactor.seconds,
        )  # fmt: skip
        self.certificate_expiry = CertificateExpiry(
            self.alarms, lambda: self.listener_set.certificates() | self.admin_server.certificates(), wall
        )  # fmt: skip
        source_list = SourceList(self.peers, wall)
        self.rate_history = RateHistory(self.ledger, self.runtime_metrics.delivery, clock=reactor.seconds, wall=wall)
        self.status = Status(
            ledger=self.ledger,
            couriers=backlogs,
            spool=self.spool,
            pipeline=self.pipeline,
            peers=self.peers,
            listener_set=self.listener_set,
            alarms=self.alarms,
            runtime_metrics=self.runtime_metrics,
            config_sha256=config.sha256,
            wall=wall,
            disk_budget=self.disk_budget,
            quota=self.quotas.report,
            certificates=self.certificate_expiry.left,
            senders=source_list,
            silent=self.silent_sources.silent_now,
            mirror=self.mirror,
            rate_history=self.rate_history,
            gateway_clock=self.gateway_clock,
            started=wall(),
            cluster_node=None if self.cluster_node is None else self.cluster_node.report,
        )
        self.reload = Reload(
            config,
            ReloadTargets(
                alarms=self.alarms,
                listener_set=self.listener_set,
                expiry=self.expiry,
                journal=journal,
                disk_budget=self.disk_budget,
                courier_set=self.courier_set,
                make_archive=self._make_archive,
                peers=self.peers,
                quotas=self.quotas,
                pipeline=self.pipeline,
                self_events=self.self_events,
                spool=self.spool,
                status=self.status,
                fsync_policy=self._fsync_policy,
            ),
            reactor=reactor,
            load=self._reread_configuration,
            applied=self._applied,
        )
        self.reload.on_begin, self.reload.on_end = self.manager.reloading, self.manager.ready
        self.rate_history.waiting = self.status.waiting
        routes = Routes(
            self.status,
            rate_history=self.rate_history,
            recent=recent or logs.Recent(),
            metrics=lambda: metrics.text(self.status),
            showing=MessagePreview(
                lambda: self.config,
                self.peers,
                self.pipeline.message_samples,
                source_list,
                reactor.seconds,
                self.listener_set.last_rejections,
            ),
            run=self._spool_thread.run,
            pause=lambda: task.deferLater(reactor, 0),
        )
        session = RunningSession(
            reactor,
            config=lambda: self.config,
            spool=self.spool,
            ledger=self.ledger,
            courier_set=self.courier_set,
            spool_thread=self._spool_thread,
            journal_writer=self.journal_writer,
        )
        draining = Drain(
            reactor,
            listener_set=self.listener_set,
            ledger=self.ledger,
            alarms=self.alarms,
            finish=self.pipeline.spool_writer.finish,
        )
        control = Control(on_bridge(session, self.reload, draining), reactor, operator_errors=OPERATOR_ERRORS)
        self.admin_server = AdminServer(
            config, reactor, pages=routes.pages(), control_pages=routes.control_pages(), control=control
        )
        self._periodic_tasks = PeriodicTasks(reactor)
        self._sealer = self._periodic_tasks.add(self._seal_due, storage_config.seal_every(config))
        for job, every in (
            (self.disk_budget.look, BUDGET_EVERY),
            (self._loss_monitor.look, EVERY),
            (self.quotas.look, EVERY),
            (self.expiry.look, EXPIRE_EVERY),
            (self._tidy_archive, ARCHIVE_EVERY),
            (self.runtime_metrics.tick, self.runtime_metrics.TICK),
            (self.certificate_expiry.look, CERTIFICATES_EVERY),
            (self.rate_history.beat, RATES_EVERY),
            (self._end_watches, EVERY),
            (self.silent_sources.look, SILENCE_EVERY),
            (self._notify_manager, min(MANAGER_INTERVAL, (self.manager.watchdog or MANAGER_INTERVAL) / 3)),
        ):
            self._periodic_tasks.add(job, every)
        if self.cluster_node is not None:
            self._periodic_tasks.add(self.cluster_node.look, CLUSTER_EVERY)

    def _make_cluster_node(self, share: SharedBacklog) -> ClusterNode:
        # Imported only if the backlog is shared: nothing else needs pika.
        from bridge.cluster.amqp import Rabbit, access_of  # noqa: PLC0415

        def password() -> Secret | None:
            current = self.config.spool.share
            return None if current is None else current.password

        access = access_of(share, password)
        node = node_name(self.spool.directory)
        context = self.courier_set.context
        run = self._spool_thread.run
        return ClusterNode(
            cluster_config.cluster_terms(share), node=node, connect=Rabbit(self._reactor, access, name=node).connect,
            own=self.couriers, context=context, on_courier_count=self.courier_set.share_rate,
            shared=DeliveryStore(
                self.spool, self.ledger, work=self._spool_thread.work, receipt=self.journal_writer.taken_receipt,
                refused=self.journal_writer.taken_refused,
                remove=lambda batches: self._reactor.callFromThread(acknowledge_all, batches),
            ),
            quarantine=lambda *message: run(lambda: self.spool.quarantine.save_damaged(*message)),
        )  # fmt: skip

    def _kernel_drops(self) -> dict[str, int]:
        return self.listener_set.kernel_drops()

    def _make_delivery_context(self) -> DeliveryContext:
        return DeliveryContext(
            clock=self._reactor,
            wall=self._wall,
            store=DeliveryStore(
                self.spool, self.ledger, work=self._spool_thread.work, receipt=self.journal_writer.receipt,
                refused=self.journal_writer.refused, handed=self.journal_writer.handed,
            ),
            ledger=self.ledger,
            dispatcher=self.dispatcher,
            alarms=self.alarms,
            runtime_metrics=self.runtime_metrics,
            run=self._spool_thread.run,
            before_sending=self._fsync_policy.before_sending,
            date_seen=self.gateway_clock.answered,
            exact=self.spool.is_exact,
        )  # fmt: skip

    def _existing_node(self) -> ClusterNode:
        assert self.cluster_node is not None, "the cluster node was used before it was built"
        return self.cluster_node

    def _make_spool(self) -> Spool:
        spool = self.config.spool
        store = Spool(
            spool.directory, limits=storage_config.batch_limits(self.config), wall=self._wall,
            clock=self._reactor.seconds, work=self._spool_thread.work,
            bounds=storage_config.quarantine_bounds(self.config), keep=write_cache.MAX_BYTES,
        )  # fmt: skip
        store.on_error = self._log_throttle.log_error_from_thread
        store.archive = self._make_archive(self.config)
        return store

    def _make_archive(self, config: Config) -> Archive | None:
        archive = config.spool.archive
        if archive is None:
            return None
        age = None if archive.max_age is None else archive.max_age.total_seconds()
        return Archive(
            config.spool.directory / ARCHIVE, max_size=archive.max_size, max_age=age, wall=self._wall,
            on_error=self._log_throttle.log_error_from_thread,
        )  # fmt: skip

    # --- start -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts all parts. Raises SpoolError or ListenError; then everything is stopped again."""
        self._spool_thread.start()
        try:
            self.courier_set.apply(self.config, self.courier_set.prepare(self.config))
            self._recover()
            self.quotas.recover()
            self.disk_budget.begin()
            if self.cluster_node is not None:
                self.cluster_node.start()
            self.expiry.look()
            if self._listening:
                await self.admin_server.open()
                self.mirror.change(ingest_config.mirror_targets(self.config))
                self.listener_set.open()
        except BaseException:
            await self.stop()
            raise
        self._periodic_tasks.start()
        self.certificate_expiry.look()
        log.info("ready: {listeners}", listeners=", ".join(self.listener_set.names()))

    def _recover(self) -> None:
        found = self.spool.recover()
        for note in found.notes:
            log.warn("spool: {note}", note=note)
        self.ledger.recover_quarantined(None, self.spool.quarantine.counts.total())
        for intake, count in found.sending.items():
            self.ledger.add_possible_duplicates(intake, count)
        self.journal_writer.start(
            found, quarantined=self.spool.quarantine.counts.total(), config_sha256=self.config.sha256
        )
        for pack in found.packs:
            self.ledger.recover_spooled(pack.intake, pack.count)
            self.courier_set.add_pack(pack)
        for batch in found.batches:
            self.ledger.recover_spooled(batch.intake, batch.count)
            self._on_sealed(batch)
        held: list[Batch | Pack] = [*found.batches, *found.packs]
        if held:
            log.info(
                "spool: found {batches} batches and {packs} packs with {events} events of an earlier run;"
                " {doubled} of them are possible duplicates",
                batches=len(found.batches),
                packs=len(found.packs),
                events=sum(each.count for each in held),
                doubled=sum(found.sending.values()),
            )
        for courier in self.couriers.values():
            if courier.retired:
                log.warn(
                    "spool: intake {intake} is not in the configuration: its {n} events stay in the spool and are not"
                    " sent. Add the intake again, or move the events to another (syslog-bridge spool move)",
                    n=courier.waiting_events, intake=courier.name,
                )  # fmt: skip

    # --- run ---------------------------------------------------------------------------------------------------------

    def _reread_configuration(self) -> Config:
        files = self.config.files
        return load_in_subprocess(files[0]) if is_large(files) else load(files[0])

    def _applied(self, config: Config) -> None:
        """Passes a new configuration on to the parts that ``Reload`` does not change itself."""
        self.config = config
        self._keys.change(config)
        self.mirror.change(ingest_config.mirror_targets(config))
        self.admin_server.change(config)
        self.pipeline.message_samples.allow(config.admin.show_messages)
        self.certificate_expiry.look()
        every = storage_config.seal_every(config)
        if self._sealer.running and self._sealer.interval != every:
            self._sealer.stop()
            self._sealer.start(every, now=False)

    def _on_sealed(self, batch: Batch) -> None:
        self._fsync_policy.add(batch)
        self._group_commit.sealed(batch)
        self.courier_set.add(batch)

    def _seal_due(self) -> None:
        if len(self.pipeline.spool_writer.backpressure):
            # Acknowledged inputs are paused for room even with `drop-oldest`, so they must be resumed here.
            self.pipeline.spool_writer.resume()
        self.spool.seal_due()
        self.courier_set.tidy(writes=lambda intake: self.spool.oldest_open(intake) is not None)
        self.listener_set.check_idle()

    def _end_watches(self) -> None:
        self.pipeline.message_samples.forget_watches(self._reactor.seconds())

    def report_ready(self) -> None:
        """Reports readiness to the service manager. The signal handlers must be installed by now."""
        self.manager.ready()
        self._notify_manager()

    def _notify_manager(self) -> None:
        total = self.ledger.total()
        self.manager.notify_watchdog()
        self.manager.status(
            f"{total.received:,} received, {total.delivered:,} delivered, {total.spooled:,} waiting;"
            f" {len(self.alarms.active) or 'no'} alarms"
        )

    def _tidy_archive(self) -> None:
        if self.spool.archive is not None:
            self._spool_thread.work(self.spool.archive.tidy, lambda nothing: None)
            self._left_archive.in_use()
        else:
            self._left_archive.look()

    # --- stop --------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stops within ten seconds, with every received event on disk. Further calls do nothing."""
        if self._stopped:
            return
        self._stopped = True
        self.manager.stopping()
        self.reload.stop()
        # Open connections are still read while responses are awaited. So the kernel has less to buffer until the next
        # process reads.
        await self.listener_set.stop_accepting()
        self.dispatcher.stop()
        if self.cluster_node is not None:
            self.cluster_node.stop_consuming()
        await with_timeout(self.dispatcher.when_idle(), RESPONSE_TIMEOUT, self._reactor)
        await self.listener_set.close()
        self.mirror.stop()
        self.pipeline.spool_writer.finish()
        self._periodic_tasks.stop()
        self.spool.seal_all()
        await self._until(lambda: self.spool.idle, SEAL_TIMEOUT)
        if (cluster_node := self.cluster_node) is not None:
            # Other nodes can deliver from the shared queues while this node is down, but not from its spool.
            await self._until(lambda: not cluster_node.is_publishing, HAND_OVER_TIMEOUT)
            await cluster_node.stop()
        self.courier_set.stop()
        self.quotas.look()
        await self.admin_server.close()
        await self.courier_set.close()
        await self.journal_writer.stop()
        self._spool_thread.stop()
        self.spool.close()

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        ends_at = self._reactor.seconds() + seconds
        while not condition() and self._reactor.seconds() < ends_at:
            await task.deferLater(self._reactor, 0.02)
