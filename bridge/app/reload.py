"""Applies a new configuration to a running bridge, completely and in one reactor turn, or not at all.

Everything that may fail or take long comes first: files are read and checked, routes compiled, CA files loaded (in a
thread, while messages are processed), sockets bound. Then only assignments remain: the *pause*. Unchanged listeners
keep their sockets and connections. The route of each source is determined again when it sends again. Requests in
flight end under the old configuration.

If anything is wrong, the bridge keeps the old configuration and reports it in the log, as an alarm and in
``config_last_reload_success``.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.accounting.journal import Journal
from bridge.config import Config, ConfigurationError, Secret, SharedBacklog
from bridge.deliver.couriers import CourierSet, PreparedCouriers
from bridge.host.interfaces import Reactor
from bridge.ingest import from_config as ingest_config
from bridge.ingest.peers import Peers
from bridge.ingest.pipeline import Pipeline
from bridge.listen.listener_set import ListenerSet
from bridge.listen.sockets import ListenError
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.self_events import SelfEvents
from bridge.monitoring.status import Status
from bridge.operations.command import ReloadError
from bridge.routing import Router
from bridge.spool import Spool
from bridge.spool.archive import Archive
from bridge.spool.fsync_policy import FsyncPolicy
from bridge.storage import from_config as storage_config
from bridge.storage.disk_budget import DiskBudget
from bridge.storage.quota import Quotas
from bridge.storage.retention import Retention
from bridge.tls.pem import PemError

SWITCH_INTERVAL = 0.0002
"Seconds for which the preparing thread may hold the interpreter while the reactor waits for it."

log = Logger(namespace="app")


@dataclass(slots=True)
class ReloadTargets:
    """The parts of a running bridge that depend on the configuration."""

    alarms: Alarms
    listener_set: ListenerSet
    expiry: Retention
    journal: Journal
    disk_budget: DiskBudget
    courier_set: CourierSet
    make_archive: Callable[[Config], Archive | None]
    peers: Peers
    quotas: Quotas
    pipeline: Pipeline
    self_events: SelfEvents
    spool: Spool
    status: Status
    fsync_policy: FsyncPolicy


@dataclass(frozen=True, slots=True)
class Generation:
    """A configuration and the objects that were prepared from it."""

    config: Config
    router: Router
    prepared_couriers: PreparedCouriers
    archive: Archive | None
    "A new archive, if there was none; None otherwise."


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The result of a successful reload."""

    text: str
    pause: float
    "Seconds for which the reactor was blocked."


class Reload:
    """Reloads the configuration of one bridge.

    ``load`` reads the configuration files; it raises ConfigurationError. ``applied`` is called with each configuration
    that takes effect.
    """

    def __init__(
        self,
        config: Config,
        parts: ReloadTargets,
        *,
        reactor: Reactor,
        load: Callable[[], Config],
        applied: Callable[[Config], None],
    ) -> None:
        self.config = config
        self.on_begin: Callable[[], None] = lambda: None
        self.on_end: Callable[[], None] = lambda: None
        "``on_begin`` is called before each reload, ``on_end`` after it, even if it fails."
        self._parts = parts
        self._reactor = reactor
        self._load = load
        self._applied = applied
        self._one_at_a_time = defer.DeferredLock()
        self._stopped = False

    def stop(self) -> None:
        """Stops: a reload that is being prepared is not applied."""
        self._stopped = True

    def set_key(self, intake: str, key: str) -> None:
        """Uses another key for an intake; the caller has written it to the key file. Raises ReloadError."""
        before = self.config.intakes.get(intake)
        if before is None:
            raise ReloadError([f"intake {intake} is not in the running configuration. Run syslog-bridge reload first"])
        after = replace(before, intake_key=Secret(key))
        self.config = replace(self.config, intakes={**self.config.intakes, intake: after})
        self._parts.courier_set.set_key(after)
        self._applied(self.config)
        log.info("intake {intake}: new key in use", intake=intake)

    def run_on_signal(self) -> None:
        """Reloads on SIGHUP; the result is only logged."""

        def ignore(failure: Failure) -> None:
            failure.trap(ReloadError)

        self.run().addErrback(ignore).addErrback(lambda failure: log.failure("defect while reloading", failure))

    def run(self) -> "defer.Deferred[Reloaded]":
        """Reloads. Fails with ReloadError; then nothing has changed. Concurrent calls run one after the other."""
        return self._one_at_a_time.run(lambda: defer.ensureDeferred(self._reload()))

    async def _reload(self) -> Reloaded:
        log.info("reload: reading the configuration")
        self.on_begin()
        try:
            done = await self._try()
        except ReloadError as error:
            for fault in error.faults:
                log.error("reload: {fault}", fault=fault)
            text = f"the configuration on disk is not in use: {error.faults[0]}"
            if len(error.faults) > 1:
                text += f" (and {len(error.faults) - 1} more faults: see the log, or run syslog-bridge check)"
            self._parts.status.note_failed_reload()
            self._parts.alarms.on("reload", "configuration", text)
            raise
        finally:
            self.on_end()
        self._parts.alarms.off("drain", "listeners", "the listeners are open again")
        self._parts.alarms.off("reload", "configuration", "the configuration on disk is in use again")
        log.info("reload: {text}", text=done.text)
        return done

    async def _try(self) -> Reloaded:
        try:
            generation = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._prepare)
        except ConfigurationError as error:
            raise ReloadError([str(fault) for fault in error.faults]) from None
        except OSError as error:
            raise ReloadError([f"{error.filename or ''}: {error.strerror}"]) from None
        except PemError as error:
            raise ReloadError([str(error)]) from None
        assert isinstance(generation, Generation)
        if faults := self._needs_restart(generation.config):
            raise ReloadError(faults)
        await self._parts.listener_set.wait_closed()
        if self._stopped:
            raise ReloadError(["the bridge is stopping"])
        try:
            change = self._parts.listener_set.prepare(generation.config)
        except ListenError as error:
            raise ReloadError([str(error)]) from None
        text = _summary(self.config, generation.config)
        began = self._reactor.seconds()
        self._swap(generation)
        closed = self._parts.listener_set.apply(change)
        self.config = generation.config
        self._applied(generation.config)
        pause = self._reactor.seconds() - began
        closed.addErrback(lambda failure: log.failure("defect while closing listeners", failure))
        return Reloaded(f"{text}; the pause was {pause * 1000:.1f} ms", pause)

    def _prepare(self) -> Generation:
        """Prepares a generation; runs in a thread.

        The thread releases the interpreter more often than Python's default of 5 ms: after each system call the reactor
        would otherwise wait that long for the thread.
        """
        default = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            return self._make_generation()
        finally:
            sys.setswitchinterval(default)

    def _make_generation(self) -> Generation:
        config = self._load()
        archive = None
        if self._parts.spool.archive is None and (archive := self._parts.make_archive(config)) is not None:
            archive.recover()
        return Generation(config, ingest_config.router(config), self._parts.courier_set.prepare(config), archive)

    def _needs_restart(self, new: Config) -> list[str]:
        old = self.config
        return [
            f"{key} cannot change while the bridge runs: {before} -> {after} needs restart"
            for key, before, after in (
                ("spool.directory", old.spool.directory, new.spool.directory),
                ("admin.listen", old.admin.listen, new.admin.listen),
                ("spool.share", _presence(old.spool.share), _presence(new.spool.share)),
                ("admin.certificate", _presence(old.admin.certificate), _presence(new.admin.certificate)),
            )
            if before != after
        ] + _share_needs_restart(old.spool.share, new.spool.share)

    def _swap(self, generation: Generation) -> None:
        """Assigns the new configuration to all parts, in one reactor turn."""
        parts, config = self._parts, generation.config
        parts.spool.change(limits=storage_config.batch_limits(config), bounds=storage_config.quarantine_bounds(config))
        self._swap_archive(generation)
        parts.fsync_policy.change(config.spool.fsync)
        parts.journal.change(config.ledger.keep)
        parts.expiry.config = config
        parts.self_events.change(config)
        parts.quotas.change({name: intake.quota for name, intake in config.intakes.items()})
        parts.status.change(config.sha256)
        parts.peers.change(generation.router)
        parts.pipeline.change(limits=ingest_config.group_limits(config), truncate=config.oversize == "truncate")
        parts.courier_set.apply(config, generation.prepared_couriers)
        parts.disk_budget.change(storage_config.budget_terms(config))

    def _swap_archive(self, generation: Generation) -> None:
        spool, terms = self._parts.spool, generation.config.spool.archive
        if terms is None:
            spool.use_archive(None)
        elif generation.archive is not None:
            spool.use_archive(generation.archive)
        elif spool.archive is not None:
            age = None if terms.max_age is None else terms.max_age.total_seconds()
            spool.archive.change(max_size=terms.max_size, max_age=age)


def _summary(old: Config, new: Config) -> str:
    """Returns the size of the new configuration and the intakes and listeners that were added or removed."""
    parts = [f"{len(new.routes)} routes, {len(new.intakes)} intakes, {len(new.listeners)} listeners"]
    for what, before, after in (
        ("intake", set(old.intakes), set(new.intakes)),
        ("listener", {each.name for each in old.listeners}, {each.name for each in new.listeners}),
    ):
        parts += [f"{what} {name} added" for name in sorted(after - before)[:5]]
        parts += [f"{what} {name} removed" for name in sorted(before - after)[:5]]
    return ", ".join(parts)


def _share_needs_restart(old: SharedBacklog | None, new: SharedBacklog | None) -> list[str]:
    """Returns a fault for each changed option but the password, which the next connection uses."""
    if old is None or new is None:
        return []
    return [
        f"spool.share.{key} cannot change while the bridge runs: it needs restart"
        for key in SharedBacklog.model_fields
        if key != "password" and getattr(old, key) != getattr(new, key)
    ]


def _presence(value: object) -> str:
    return "none" if value is None else "one"
