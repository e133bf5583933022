"""The composition root: a configuration becomes a running graph. The one place that wires.

Start: spool (lock, recovery), couriers, admin, listeners last, so that nothing is received that could not be kept.
Stop: listeners first, what the sockets hold is drained, answers are waited for, everything is sealed.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import task
from twisted.logger import Logger

from bridge.accounting import Ledger
from bridge.accounting.journal import Journal
from bridge.admin.control import Control
from bridge.admin.control_commands import TOLD, on_bridge
from bridge.admin.routes import Routes
from bridge.admin.server import AdminServer
from bridge.app.reload import Reload, ReloadTargets
from bridge.cluster import from_config as cluster_config
from bridge.cluster.backlog_view import BacklogView, BacklogViews
from bridge.cluster.consumer import release
from bridge.cluster.node import EVERY as FLEET_EVERY
from bridge.cluster.node import ClusterNode
from bridge.cluster.node_name import node_name
from bridge.config import (
    Config,
    Secret,
    SharedBacklog,
    load,
)
from bridge.config.subprocess_load import is_large, load_elsewhere
from bridge.deliver.context import DeliveryContext
from bridge.deliver.courier import Courier
from bridge.deliver.couriers import CourierSet
from bridge.host import logs
from bridge.host.log_throttle import LogThrottle
from bridge.host.periodic import PeriodicTasks
from bridge.host.systemd import ServiceManager
from bridge.ingest import from_config as ingest_config
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.mirror import Mirror
from bridge.ingest.peers import Peers
from bridge.ingest.pipeline import Pipeline
from bridge.listen.https import HttpsListener, IntakeKeys
from bridge.listen.listener_set import ListenerSet
from bridge.monitoring import metrics
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.certificate_expiry import EVERY as RENEWALS_EVERY
from bridge.monitoring.certificate_expiry import CertificateExpiry
from bridge.monitoring.gateway_clock import GatewayClock
from bridge.monitoring.loss_monitor import EVERY, LossMonitor
from bridge.monitoring.message_preview import MessagePreview
from bridge.monitoring.rate_history import EVERY as PULSE_EVERY
from bridge.monitoring.rate_history import RateHistory
from bridge.monitoring.runtime_metrics import RuntimeMetrics
from bridge.monitoring.self_events import SelfEvents
from bridge.monitoring.silent_sources import EVERY as SILENCE_EVERY
from bridge.monitoring.silent_sources import SilentSources
from bridge.monitoring.sources import SourceList
from bridge.monitoring.status import Status
from bridge.operations.drain import Drain
from bridge.operations.running_session import RunningSession
from bridge.spool import (
    Batch,
    Pack,
    Spool,
    write_cache,
)
from bridge.spool.archive import Archive
from bridge.spool.fsync_policy import FsyncPolicy
from bridge.spool.group_commit import GroupCommit
from bridge.storage import from_config as storage_config
from bridge.storage.budget_members import KeptArchive
from bridge.storage.delivery_store import DeliveryStore
from bridge.storage.disk_budget import EVERY as LOOK_EVERY
from bridge.storage.disk_budget import DiskBudget
from bridge.storage.journal_writer import JournalWriter
from bridge.storage.orphaned_archive import OrphanedArchive
from bridge.storage.quota import Quotas
from bridge.storage.retention import EVERY as EXPIRE_EVERY
from bridge.storage.retention import Retention
from bridge.storage.spool_thread import SpoolThread

log = Logger(namespace="app")

ANSWERS_WITHIN = 5.0
"Seconds that the end waits for requests in flight,"
SEALED_WITHIN = 2.0
"and for the spool's thread."
HANDED_OVER_WITHIN = 0.5
"Seconds more for what can still go to other gateways."
PULSE = 10.0
"Seconds between two words to the service manager, where it does not want them more often."

ARCHIVE = ".archive"
ARCHIVE_EVERY = 30.0
"Seconds."


class Bridge:
    """One configuration, running.

    ``wall`` is the one source of wall time, in seconds since the epoch; ``recent`` has the last lines of the log.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,
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
        self._worker = SpoolThread(reactor)
        work = self._worker.work
        self._troubles = LogThrottle(reactor)
        self._stopped = False
        self._listening = listening
        self.peers = Peers(ingest_config.router(config))
        self.spool = self._make_spool()
        self.self_events = SelfEvents(config, self.spool, self.ledger, wall)
        self.alarms = Alarms(self.self_events.emit)
        self.measures = RuntimeMetrics(reactor.seconds)
        self.mailroom = CourierSet(config, reactor)
        self.couriers = self.mailroom.couriers
        self.dispatcher = self.mailroom.dispatcher
        self._syncing = FsyncPolicy(
            config.spool.fsync, directory=config.spool.directory, clock=reactor.seconds, wall=wall,
            on_error=self._troubles.tell_from_thread,
        )  # fmt: skip
        self._commits = GroupCommit(self.spool, self._syncing, work=work)
        self.mailroom.sealed = self._was_sealed
        self.spool.on_sealed = self.mailroom.add
        # Whole only once the office is there; asked for nothing before.
        self.fleet: ClusterNode | None = None
        seen: Mapping[str, Courier | BacklogView] = self.couriers
        if config.spool.share is not None:
            seen = BacklogViews(lambda: iter(list(self.couriers)), lambda name: self._fleet_of().view(name))
        self.keeper = DiskBudget(
            self.spool, terms=storage_config.budget_terms(config), syncing=self._syncing, stocks=seen,
            ledger=self.ledger, alarms=self.alarms, work=work, clock=reactor.seconds,
        )  # fmt: skip
        if self.spool.archive is not None:
            self.keeper.archive = KeptArchive(self.spool.archive)
        self.quotas = Quotas(
            config.spool.directory / ".quota.json", {name: intake.quota for name, intake in config.intakes.items()},
            deliverers=seen, alarms=self.alarms, wall=wall, work=work,
        )  # fmt: skip
        self.expiry = Retention(config, self.spool, self.ledger, work)
        self._left_archive = OrphanedArchive(config.spool.directory / ARCHIVE, self.alarms, work)
        self.road = Pipeline(
            spool=self.spool,
            ledger=self.ledger,
            wall=wall,
            limits=ingest_config.group_limits(config),
            truncate=config.oversize == "truncate",
            on_trouble=self._troubles.tell,
            room=self.keeper,
            glimpses=MessageSamples(on=config.admin.show_messages),
        )
        self.keeper.on_room = self.road.landing.resume
        self._keys = IntakeKeys(config)
        self.road.copies = self.copies = Mirror(reactor)
        self.silence = SilentSources(self.alarms, self.peers, wall)
        self.doors = ListenerSet(
            config, reactor=reactor, road=self.road, peers=self.peers, commit=self._commits.after, store=self.manager,
            kinds={"https": lambda listener, bound, hall: HttpsListener(listener, bound, hall, self._keys, wall)},
        )  # fmt: skip
        history = Journal(config.spool.directory / ".ledger", keep=config.ledger.keep, wall=wall)
        history.on_error = self._troubles.tell_from_thread
        self.recorder = JournalWriter(
            history, self.ledger, self._worker.in_thread, reactor, self.doors.kernel_drops, wall
        )  # fmt: skip
        self.timekeeping = GatewayClock(self.alarms, wall=wall)
        self.mailroom.office = DeliveryContext(
            clock=reactor,
            wall=wall,
            store=DeliveryStore(
                self.spool,
                self.ledger,
                work=work,
                receipt=self.recorder.receipt,
                refused=self.recorder.refused,
                handed=self.recorder.handed,
            ),
            ledger=self.ledger,
            dispatcher=self.dispatcher,
            alarms=self.alarms,
            measures=self.measures,
            in_thread=self._worker.in_thread,
            before_sending=self._syncing.before_sending,
            date_seen=self.timekeeping.answered,
            exact=self.spool.is_exact,
        )
        if config.spool.share is not None:
            self.fleet = self._make_fleet(config.spool.share)
            self.mailroom.follow = self.fleet.follow
        self._watch = LossMonitor(
            self.alarms, ledger=self.ledger, peers=self.peers, kernel_drops=self.doors.kernel_drops,
            clock=reactor.seconds,
        )  # fmt: skip
        self.renewals = CertificateExpiry(
            self.alarms, lambda: self.doors.certificates() | self.gate.certificates(), wall
        )  # fmt: skip
        senders = SourceList(self.peers, wall)
        self.pulse = RateHistory(self.ledger, self.measures.delivery, clock=reactor.seconds, wall=wall)
        self.status = Status(
            ledger=self.ledger, couriers=seen, spool=self.spool, road=self.road, peers=self.peers,
            doors=self.doors, alarms=self.alarms, measures=self.measures, config_sha256=config.sha256, wall=wall,
            keeper=self.keeper, quota=self.quotas.report, certificates=self.renewals.left, senders=senders,
            silent=self.silence.silent_now, copies=self.copies,
            pulse=self.pulse, timekeeping=self.timekeeping, started=wall(),
            fleet=None if self.fleet is None else self.fleet.report,
        )  # fmt: skip
        self.reload = Reload(
            config,
            ReloadTargets(
                alarms=self.alarms, doors=self.doors, expiry=self.expiry, history=history, keeper=self.keeper,
                mailroom=self.mailroom, make_archive=self._make_archive, peers=self.peers, quotas=self.quotas,
                road=self.road, self_events=self.self_events, spool=self.spool, status=self.status,
                syncing=self._syncing,
            ),
            reactor=reactor, load=self._load_again, applied=self._applied,
        )  # fmt: skip
        self.reload.begins, self.reload.ends = self.manager.reloading, self.manager.ready
        self.pulse.waiting = self.status.waiting
        answers = Routes(
            self.status, pulse=self.pulse, recent=recent or logs.Recent(), metrics=lambda: metrics.text(self.status),
            showing=MessagePreview(
                lambda: self.config, self.peers, self.road.glimpses, senders, reactor.seconds, self.doors.turned_away
            ), in_thread=self._worker.in_thread, pause=lambda: task.deferLater(reactor, 0),
        )  # fmt: skip
        estate = RunningSession(
            reactor, config=lambda: self.config, spool=self.spool, ledger=self.ledger, mailroom=self.mailroom,
            worker=self._worker, recorder=self.recorder,
        )  # fmt: skip
        draining = Drain(
            reactor, doors=self.doors, ledger=self.ledger, alarms=self.alarms, finish=self.road.landing.finish
        )
        control = Control(on_bridge(estate, self.reload, draining), reactor, told=TOLD)
        self.gate = AdminServer(config, reactor, pages=answers.pages(), own_pages=answers.own_pages(), control=control)
        self._rounds = PeriodicTasks(reactor)
        self._sealer = self._rounds.add(self._seal_due, storage_config.seal_every(config))
        for look, every in (
            (self.keeper.look, LOOK_EVERY), (self._watch.look, EVERY), (self.quotas.look, EVERY),
            (self.expiry.look, EXPIRE_EVERY), (self._tidy_archive, ARCHIVE_EVERY),
            (self.measures.tick, self.measures.TICK), (self.renewals.look, RENEWALS_EVERY),
            (self.pulse.beat, PULSE_EVERY), (self._end_watches, EVERY), (self.silence.look, SILENCE_EVERY),
            (self._tell_manager, min(PULSE, (self.manager.watchdog or PULSE) / 3)),
        ):  # fmt: skip
            self._rounds.add(look, every)
        if self.fleet is not None:
            self._rounds.add(self.fleet.look, FLEET_EVERY)

    def _make_fleet(self, share: SharedBacklog) -> ClusterNode:
        # Only where it is asked for: nobody else needs pika.
        from bridge.cluster.amqp import Rabbit, access_of  # noqa: PLC0415

        def password() -> Secret | None:
            now = self.config.spool.share
            return None if now is None else now.password

        access = access_of(share, password)
        node = node_name(self.spool.directory)
        office = self.mailroom.office
        in_thread = self._worker.in_thread
        return ClusterNode(
            cluster_config.cluster_terms(share), node=node, connect=Rabbit(self._reactor, access, name=node).connect,
            own=self.couriers, office=office, counted=self.mailroom.share_rate,
            shared=DeliveryStore(
                self.spool, self.ledger, work=self._worker.work, receipt=self.recorder.receipt_of_taken,
                refused=self.recorder.refused_of_taken,
                remove=lambda batches: self._reactor.callFromThread(release, batches),
            ),
            aside=lambda *message: in_thread(lambda: self.spool.quarantine.put_aside(*message)),
        )  # fmt: skip

    def _fleet_of(self) -> ClusterNode:
        assert self.fleet is not None, "asked before there is a fleet"
        return self.fleet

    def _make_spool(self) -> Spool:
        spool = self.config.spool
        made = Spool(
            spool.directory, limits=storage_config.batch_limits(self.config), wall=self._wall,
            clock=self._reactor.seconds, work=self._worker.work,
            bounds=storage_config.quarantine_bounds(self.config), keep=write_cache.MOST,
        )  # fmt: skip
        made.on_error = self._troubles.tell_from_thread
        made.archive = self._make_archive(self.config)
        return made

    def _make_archive(self, config: Config) -> Archive | None:
        archive = config.spool.archive
        if archive is None:
            return None
        age = None if archive.max_age is None else archive.max_age.total_seconds()
        return Archive(
            config.spool.directory / ARCHIVE, max_size=archive.max_size, max_age=age, wall=self._wall,
            on_error=self._troubles.tell_from_thread,
        )  # fmt: skip

    # --- start -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Run. Raises SpoolError or ListenError: then nothing runs."""
        self._worker.start()
        try:
            self.mailroom.open()
            self._recover()
            self.quotas.recover()
            self.keeper.begin()
            if self.fleet is not None:
                self.fleet.start()
            self.expiry.look()
            if self._listening:
                await self.gate.open()
                self.copies.change(ingest_config.mirror_targets(self.config))
                self.doors.open()
        except BaseException:
            await self.stop()
            raise
        self._rounds.start()
        self.renewals.look()
        log.info("ready: {listeners}", listeners=", ".join(self.doors.names()))

    def _recover(self) -> None:
        found = self.spool.recover()
        for note in found.notes:
            log.warn("spool: {note}", note=note)
        self.ledger.recover_quarantined(None, self.spool.quarantine.counts.total())
        for intake, count in found.sending.items():
            self.ledger.may_be_double(intake, count)
        self.recorder.start(found, quarantined=self.spool.quarantine.counts.total(), config_sha256=self.config.sha256)
        for pack in found.packs:
            self.ledger.recover_spooled(pack.intake, pack.count)
            self.mailroom.add_pack(pack)
        for batch in found.batches:
            self.ledger.recover_spooled(batch.intake, batch.count)
            self.mailroom.add(batch)
        held: list[Batch | Pack] = [*found.batches, *found.packs]
        if held:
            log.info(
                "spool: {batches} batches and {packs} packs of batches with {events} events from before;"
                " {doubled} of these may have been sent",
                batches=len(found.batches),
                packs=len(found.packs),
                events=sum(each.count for each in held),
                doubled=sum(found.sending.values()),
            )
        for courier in self.couriers.values():
            if courier.retired:
                log.warn(
                    "spool: {n} events of intake {intake}, which is not in the configuration, are kept and not sent",
                    n=courier.waiting_events, intake=courier.name,
                )  # fmt: skip

    # --- what goes on ------------------------------------------------------------------------------------------------

    def _load_again(self) -> Config:
        files = self.config.files
        return load_elsewhere(files[0]) if is_large(files) else load(files[0])

    def _applied(self, config: Config) -> None:
        """Another configuration holds."""
        self.config = config
        self._keys.change(config)
        self.copies.change(ingest_config.mirror_targets(config))
        self.gate.change(config)
        self.road.glimpses.allow(config.admin.show_messages)
        self.renewals.look()
        every = storage_config.seal_every(config)
        if self._sealer.running and self._sealer.interval != every:
            self._sealer.stop()
            self._sealer.start(every, now=False)

    def _was_sealed(self, batch: Batch) -> None:
        self._syncing.add(batch)
        self._commits.sealed(batch)

    def _seal_due(self) -> None:
        if len(self.road.landing.holding):
            # Senders that must be told what is kept wait also where others' events are dropped.
            self.road.landing.resume()
        self.spool.seal_due()
        self.mailroom.tidy(writes=lambda intake: self.spool.oldest_open(intake) is not None)
        self.doors.check_idle()

    def _end_watches(self) -> None:
        self.road.glimpses.forget_watches(self._reactor.seconds())

    def tell_ready(self) -> None:
        """Say to who started us that we do our work; signals must be handled by now."""
        self.manager.ready()
        self._tell_manager()

    def _tell_manager(self) -> None:
        account = self.ledger.total()
        self.manager.alive()
        self.manager.status(
            f"{account.received:,} received, {account.delivered:,} delivered, {account.spooled:,} wait;"
            f" {len(self.alarms.active) or 'no'} alarms"
        )

    def _tidy_archive(self) -> None:
        if self.spool.archive is not None:
            self._worker.work(self.spool.archive.tidy, lambda nothing: None)
            self._left_archive.in_use()
        else:
            self._left_archive.look()

    # --- stop --------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stop as the contract says: within ten seconds, with everything that was received on disk. Once is enough."""
        if self._stopped:
            return
        self._stopped = True
        self.manager.stopping()
        self.reload.stop()
        # Who is in is served while answers are waited for: the less the kernel has to hold until the next of us reads.
        await self.doors.shut()
        self.dispatcher.stop()
        if self.fleet is not None:
            self.fleet.stop_taking()
        await self._until(lambda: not self.dispatcher.in_flight, ANSWERS_WITHIN)
        await self.doors.close()
        self.copies.stop()
        self.road.landing.finish()
        self._rounds.stop()
        self.spool.seal_all()
        await self._until(lambda: self.spool.idle, SEALED_WITHIN)
        if (fleet := self.fleet) is not None:
            # What was received is better in the queues than here while we are away.
            await self._until(lambda: not fleet.gives, HANDED_OVER_WITHIN)
            await fleet.stop()
        self.mailroom.stop()
        self.quotas.look()
        await self.gate.close()
        await self.mailroom.close()
        await self.recorder.stop()
        self._worker.stop()
        self.spool.close()

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        ends_at = self._reactor.seconds() + seconds
        while not condition() and self._reactor.seconds() < ends_at:
            await task.deferLater(self._reactor, 0.02)
