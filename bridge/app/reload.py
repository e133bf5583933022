"""A new configuration in a running bridge, as one generation: all of it, in one reactor turn, or nothing.

First everything that may fail or take long: files are read and checked, routes compiled, authorities looked at (in a
thread, while the road goes on), sockets bound. What then remains is assignments: the *pause*. Listeners that stay keep
their sockets and connections; what was decided of senders is decided anew when they send again; requests in flight end
as they began.

Whatever is wrong, the bridge goes on as it was, and says so: in the log, as an alarm, in
``config_last_reload_success``.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from bridge.accounting.journal import Journal
from bridge.config import (
    Config,
    ConfigurationError,
    Secret,
    SharedBacklog,
)
from bridge.deliver.couriers import CourierSet, PreparedCouriers
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
from bridge.storage.budget_members import KeptArchive, NoArchive
from bridge.storage.disk_budget import DiskBudget
from bridge.storage.quota import Quotas
from bridge.storage.retention import Retention
from bridge.tls.pem import PemError

GIVE_WAY = 0.0002
"Seconds that preparing may keep the reactor waiting at a time."

log = Logger(namespace="app")


@dataclass(slots=True)
class ReloadTargets:
    """What hangs on the configuration in a running bridge."""

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
    """A configuration, and what was made of it beforehand."""

    config: Config
    router: Router
    mail: PreparedCouriers
    archive: Archive | None
    "A new one, where there was none."


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload has done."""

    text: str
    pause: float
    "Seconds in which nothing else was done."


class Reload:
    """One bridge's. ``load`` reads the configuration's files; it raises ConfigurationError. ``applied`` is told what
    holds from now on."""

    def __init__(
        self,
        config: Config,
        parts: ReloadTargets,
        *,
        reactor: Any,
        load: Callable[[], Config],
        applied: Callable[[Config], None],
    ) -> None:
        self.config = config
        self.begins: Callable[[], None] = lambda: None
        self.ends: Callable[[], None] = lambda: None
        "Called before and after, however it ends."
        self._parts = parts
        self._reactor = reactor
        self._load = load
        self._applied = applied
        self._one_at_a_time = defer.DeferredLock()
        self._stopped = False

    def stop(self) -> None:
        """No more."""
        self._stopped = True

    def set_key(self, intake: str, key: str) -> None:
        """An intake has another key, which its file has too. Raises ReloadError."""
        before = self.config.intakes.get(intake)
        if before is None:
            raise ReloadError([f"intake {intake} is not in the configuration that the bridge runs: reload first"])
        after = replace(before, intake_key=Secret(key))
        self.config = replace(self.config, intakes={**self.config.intakes, intake: after})
        self._parts.courier_set.set_key(after)
        self._applied(self.config)
        log.info("intake {intake}: its key was set", intake=intake)

    def asked(self) -> None:
        """By a signal: nobody waits for the answer."""

        def defect(failure: Failure) -> None:
            failure.trap(ReloadError)

        self.run().addErrback(defect).addErrback(lambda failure: log.failure("defect while reloading", failure))

    def run(self) -> "defer.Deferred[Reloaded]":
        """Reload; fails with ReloadError, then nothing has changed. Those asked for meanwhile come one by one."""
        return self._one_at_a_time.run(lambda: defer.ensureDeferred(self._reload()))

    async def _reload(self) -> Reloaded:
        log.info("reload: reading the configuration")
        self.begins()
        try:
            done = await self._try()
        except ReloadError as error:
            for fault in error.faults:
                log.error("reload: {fault}", fault=fault)
            text = f"the configuration on disk is not in use: {error.faults[0]}"
            if len(error.faults) > 1:
                text += f" (and {len(error.faults) - 1} more: see the log, or syslog-bridge check)"
            self._parts.status.reloaded = False
            self._parts.alarms.on("reload", "configuration", text)
            raise
        finally:
            self.ends()
        self._parts.status.reloaded = True
        self._parts.alarms.off("drain", "listeners", "the listeners are open again")
        self._parts.alarms.off("reload", "configuration", "the configuration on disk is in use again")
        log.info("reload: {text}", text=done.text)
        return done

    async def _try(self) -> Reloaded:
        try:
            made = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._prepare)
        except ConfigurationError as error:
            raise ReloadError([str(fault) for fault in error.faults]) from None
        except OSError as error:
            raise ReloadError([f"{error.filename or ''}: {error.strerror}"]) from None
        except PemError as error:
            raise ReloadError([str(error)]) from None
        assert isinstance(made, Generation)
        if needs := self._needs_restart(made.config):
            raise ReloadError(needs)
        await self._parts.listener_set.settled()
        if self._stopped:
            raise ReloadError(["the bridge is stopping"])
        try:
            change = self._parts.listener_set.prepare(made.config)
        except ListenError as error:
            raise ReloadError([str(error)]) from None
        text = _in_words(self.config, made.config)
        began = self._reactor.seconds()
        self._swap(made)
        closed = self._parts.listener_set.apply(change)
        self.config = made.config
        self._applied(made.config)
        pause = self._reactor.seconds() - began
        closed.addErrback(lambda failure: log.failure("defect while closing listeners", failure))
        return Reloaded(f"{text}; the pause was {pause * 1000:.1f} ms", pause)

    def _prepare(self) -> Generation:
        """In a thread, which gives way more often than Python's usual 5 ms: while it computes, each call of the
        reactor's to the kernel waits for it."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(GIVE_WAY)
        try:
            return self._made()
        finally:
            sys.setswitchinterval(usual)

    def _made(self) -> Generation:
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
                ("spool.share", _whether(old.spool.share), _whether(new.spool.share)),
                ("admin.certificate", _whether(old.admin.certificate), _whether(new.admin.certificate)),
            )
            if before != after
        ] + _share_needs_restart(old.spool.share, new.spool.share)

    def _swap(self, made: Generation) -> None:
        """Assignments only: one reactor turn."""
        parts, config = self._parts, made.config
        limits = storage_config.batch_limits(config)
        if limits.resolution_ms != parts.spool.limits.resolution_ms:
            # A slot's number means another time from now on.
            parts.spool.seal_all()
        parts.spool.limits = limits
        parts.spool.quarantine.bounds.update(storage_config.quarantine_bounds(config))
        self._swap_archive(made)
        parts.fsync_policy.policy = config.spool.fsync
        parts.journal.keep = config.ledger.keep
        parts.expiry.config = parts.self_events.config = config
        parts.quotas.limits = {name: intake.quota for name, intake in config.intakes.items()}
        parts.status.config_sha256 = config.sha256
        parts.peers.change(made.router)
        parts.pipeline.change(limits=ingest_config.group_limits(config), truncate=config.oversize == "truncate")
        parts.courier_set.apply(config, made.mail)
        parts.disk_budget.change(storage_config.budget_terms(config))

    def _swap_archive(self, made: Generation) -> None:
        spool, disk_budget, terms = self._parts.spool, self._parts.disk_budget, made.config.spool.archive
        if terms is None:
            spool.archive, disk_budget.archive = None, NoArchive()
        elif made.archive is not None:
            spool.archive, disk_budget.archive = made.archive, KeptArchive(made.archive)
        elif spool.archive is not None:
            spool.archive.max_size = terms.max_size
            spool.archive.max_age = None if terms.max_age is None else terms.max_age.total_seconds()


def _in_words(old: Config, new: Config) -> str:
    """What has changed, in short."""
    parts = [f"{len(new.routes)} routes, {len(new.intakes)} intakes, {len(new.listeners)} listeners"]
    for what, before, after in (
        ("intake", set(old.intakes), set(new.intakes)),
        ("listener", {each.name for each in old.listeners}, {each.name for each in new.listeners}),
    ):
        parts += [f"{what} {name} is new" for name in sorted(after - before)[:5]]
        parts += [f"{what} {name} is gone" for name in sorted(before - after)[:5]]
    return ", ".join(parts)


def _share_needs_restart(old: SharedBacklog | None, new: SharedBacklog | None) -> list[str]:
    """All but the password, which the next connection is made with."""
    if old is None or new is None:
        return []
    return [
        f"spool.share.{key} cannot change while the bridge runs: it needs restart"
        for key in SharedBacklog.model_fields
        if key != "password" and getattr(old, key) != getattr(new, key)
    ]


def _whether(given: object) -> str:
    return "none" if given is None else "one"
