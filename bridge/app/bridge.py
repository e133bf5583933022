"""Connects the subsystems of a running gateway, and starts and stops them.

Start order: spool (lock, recovery), admin server, cluster, periodic tasks, listeners. The listeners are last, so that
no message is received before it can be stored. Stop order: accept nothing more, wait for responses, close the
listeners, seal all batches, hand them over to the cluster, stop the couriers, and so on in reverse.
"""
# mypy: disallow-untyped-calls=False

from collections.abc import Awaitable, Callable

from twisted.internet import defer
from twisted.logger import Logger

from bridge.app.admin import build_admin
from bridge.app.confirmation import Confirmation
from bridge.app.delivery import build_cluster, build_delivery
from bridge.app.ingest import build_ingest
from bridge.app.monitoring import build_monitoring
from bridge.app.process import Process
from bridge.app.reload import Reload, Subsystems
from bridge.app.services import AsyncService, OrderedServices, Step, no_step
from bridge.app.storage import build_storage
from bridge.app.tasks import Tasks
from bridge.app.unconfirmed import Unconfirmed
from bridge.config import Config, load
from bridge.config.subprocess_load import is_large, load_in_subprocess
from bridge.host.waiting import called_back, with_timeout
from bridge.ingest import from_config as ingest_config
from bridge.operations.actions import ActionLog
from bridge.operations.command import JSON, Progress, ReloadError
from bridge.operations.operator import SIGNAL, TIMER, Operator
from bridge.spool.recovery import RecoveredSpool
from bridge.util.counts import counted

log = Logger(namespace="app")

RESPONSE_TIMEOUT = 5.0
"Seconds to wait for requests in flight at the end."
RECORD_TIMEOUT = 5.0
"Seconds that the response to an operator's command waits for its record in the journal."
SEAL_TIMEOUT = 2.0
"Seconds to wait for the spool thread at the end."
HAND_OVER_TIMEOUT = 0.5
"Further seconds at the end to hand batches over to the shared queues."


class Bridge:
    """Runs one configuration. ``listening``: False for a bridge that only delivers what its spool holds.

    ``unconfirmed``: what waits for the operator's confirmation, as the start found it.
    """

    def __init__(
        self, config: Config, process: Process, *, listening: bool = True, unconfirmed: Unconfirmed | None = None
    ) -> None:
        """Raises SpoolError."""
        storage = build_storage(config, process)
        delivery = build_delivery(config, process, storage)
        self._cluster = build_cluster(config, process, storage, delivery, lambda: self.reload.config)
        ingest = build_ingest(config, process, storage, self._cluster)
        monitoring = build_monitoring(
            config, process, storage, delivery, self._cluster, ingest, self._admin_certificates,
            lambda: self.reload.config,
        )  # fmt: skip
        self._config = config
        self._process = process
        self.parts = Subsystems(storage, delivery, ingest, monitoring)
        self.ledger = storage.opened.ledger
        self.listener_set = ingest.listener_set
        self._confirmation = Confirmation(
            process, storage.alarms, config.spool.directory, unconfirmed, self._revert_unconfirmed
        )
        self.reload = Reload(config, self.parts, process, load=_read_again, confirmation=self._confirmation)
        self.actions = ActionLog(self._write_action, process.wall)
        self.admin_server = build_admin(config, process, self.parts, self.reload, self.actions)
        self._tasks = Tasks(config, process, self.parts, self._cluster.node)
        self.reload.subscribe(self._tasks.change)

        def opening(step: Step) -> Step:
            return step if listening else no_step

        self._services = OrderedServices(
            [
                AsyncService("storage", start=self._start_storage, stop=self._stop_storage),
                AsyncService("admin", start=opening(self.admin_server.open), stop=self.admin_server.close),
                AsyncService("couriers", stop=self._stop_couriers),
                AsyncService("cluster", start=self._start_cluster, stop=self._stop_cluster),
                AsyncService("tasks", start=self._start_tasks, stop=self._stop_tasks),
                AsyncService("listeners", start=opening(self._open_listeners), stop=self._close_listeners),
                AsyncService("requests", stop=self._end_requests),
                AsyncService("reload", stop=self._stop_reloads),
            ]
        )

    def reload_on_signal(self) -> None:
        """Reloads on SIGHUP; the result is logged and recorded."""
        self._run_without_client("reload", self.reload.run, SIGNAL)

    def _revert_unconfirmed(self) -> None:
        """Goes back to the previous configuration at the end of the wait; the result is logged and recorded."""
        self._run_without_client("reload-revert", self.reload.revert, TIMER)

    def _run_without_client(self, name: str, action: Callable[[], Awaitable[JSON]], operator: Operator) -> None:
        async def run(given: JSON, progress: Progress) -> JSON:
            return await action()

        done = defer.ensureDeferred(self.actions.run(name, run, {}, lambda report: True, operator))
        done.addErrback(lambda failure: failure.trap(ReloadError))
        done.addErrback(lambda failure: log.failure("defect while reloading", failure))

    def _write_action(self, command: str, fields: JSON) -> "defer.Deferred[None]":
        journal = self.parts.storage.opened.journal
        written = self._process.spool_thread.run(lambda: journal.action(command, fields))
        # A disk that hangs must not keep the operator waiting.
        return written.addTimeout(RECORD_TIMEOUT, self._process.reactor, onTimeoutCancel=lambda result, seconds: None)

    def _admin_certificates(self) -> dict[str, float]:
        return self.admin_server.certificates()

    async def start(self) -> None:
        """Starts all services. Raises SpoolError or ListenError; then everything is stopped again."""
        await self._services.startService()
        log.info("ready: {listeners}", listeners=", ".join(self.listener_set.names()))

    def report_ready(self) -> None:
        """Reports readiness to the service manager. The signal handlers must be installed by now."""
        self._process.manager.ready()
        self._tasks.notify_manager()

    async def stop(self) -> None:
        """Stops within ten seconds, with every received event on disk. Further calls do nothing."""
        await self._services.stopService()

    # --- services, in start order ------------------------------------------------------------------------------------

    async def _start_storage(self) -> None:
        parts, config = self.parts, self._config
        couriers = parts.delivery.courier_set
        self._process.spool_thread.start()
        self._process.sync_thread.start()
        couriers.apply(config, couriers.prepare(config))
        opened = parts.storage.opened
        found = opened.recover(config.sha256, lambda note: log.warn("{note}", note=note))
        parts.monitoring.journal_writer.start()
        for pack in found.packs:
            couriers.add_pack(pack)
        for batch in found.batches:
            opened.spool.announce(batch)
        _log_recovered(parts, found)
        parts.ingest.quotas.recover()
        parts.storage.fsync_policy.end_recovery()
        parts.ingest.disk_budget.begin()
        parts.storage.retention.look()
        parts.storage.unrecovered.begin(found.unreadable, couriers.add_pack)

    async def _stop_storage(self) -> None:
        parts = self.parts
        await parts.delivery.courier_set.close()
        parts.monitoring.problem_file.finish()
        await parts.monitoring.journal_writer.stop()
        self._process.sync_thread.stop()
        self._process.spool_thread.stop()
        parts.storage.opened.spool.close()

    async def _stop_couriers(self) -> None:
        self.parts.delivery.courier_set.stop()
        self.parts.ingest.quotas.look()

    async def _start_cluster(self) -> None:
        if self._cluster.node is not None:
            self._cluster.node.start()

    async def _stop_cluster(self) -> None:
        if (node := self._cluster.node) is not None:
            # Other nodes can deliver from the shared queues while this node is down, but not from its spool.
            await with_timeout(node.when_published(), HAND_OVER_TIMEOUT, self._process.reactor)
            await node.stop()

    async def _start_tasks(self) -> None:
        self._tasks.start()

    async def _stop_tasks(self) -> None:
        self._tasks.stop()
        spool = self.parts.storage.opened.spool
        spool.seal_all()
        await with_timeout(called_back(spool.when_idle), SEAL_TIMEOUT, self._process.reactor)

    async def _open_listeners(self) -> None:
        self._confirmation.start()
        self.parts.ingest.mirror.change(ingest_config.mirror_targets(self._config))
        self.listener_set.open()
        self.parts.monitoring.certificate_expiry.look()

    async def _close_listeners(self) -> None:
        await self.listener_set.close()
        self.parts.ingest.mirror.stop()
        self.parts.ingest.pipeline.spool_writer.finish()

    async def _end_requests(self) -> None:
        # Open connections are still read while responses are awaited. So the kernel has less to buffer until the next
        # process reads.
        await self.listener_set.stop_accepting()
        dispatcher = self.parts.delivery.dispatcher
        dispatcher.stop()
        if self._cluster.node is not None:
            self._cluster.node.stop_consuming()
        await with_timeout(dispatcher.when_idle(), RESPONSE_TIMEOUT, self._process.reactor)

    async def _stop_reloads(self) -> None:
        # First in every stop, also after a failed start: the service manager must not wait for readiness.
        self._process.manager.stopping()
        self.reload.stop()


def _read_again(config: Config) -> Config:
    files = config.files
    return load_in_subprocess(files[0]) if is_large(files) else load(files[0])


def _log_recovered(parts: Subsystems, found: RecoveredSpool) -> None:
    if found.stored:
        log.info(
            "spool: found {batches} and {packs} with {events} of an earlier run; possible duplicates: {doubled}",
            batches=counted(len(found.batches), "batch"), packs=counted(len(found.packs), "pack"),
            events=counted(sum(each.count for each in found.stored), "event"), doubled=sum(found.sending.values()),
        )  # fmt: skip
    for courier in parts.delivery.courier_set.couriers.values():
        if courier.retired:
            log.warn(
                "spool: intake {intake} is not in the configuration, so its events are not sent. Waiting: {events}. Add"
                " the intake again, or move the events to another (syslog-bridge spool move)",
                events=counted(courier.waiting_events, "event"), intake=courier.name,
            )  # fmt: skip
