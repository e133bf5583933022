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

from bridge.app.confirmation import REMEDY, Confirmation
from bridge.app.delivery import DeliveryParts
from bridge.app.ingest import IngestParts
from bridge.app.monitoring import MonitoringParts
from bridge.app.old_names import warn_about_old_names
from bridge.app.process import Process
from bridge.app.storage import StorageParts
from bridge.config import ClusterSection, Config, ConfigurationError, Secret, load_again
from bridge.listen.sockets import ListenError
from bridge.operations.command import JSON, ReloadError
from bridge.tls.pem import PemError
from bridge.util.counts import counted

SWITCH_INTERVAL = 0.0002
"Seconds for which the preparing thread may hold the interpreter while the reactor waits for it."

log = Logger(namespace="app")


@dataclass(frozen=True, slots=True)
class Subsystems:
    """The parts of a running bridge that depend on the configuration."""

    storage: StorageParts
    delivery: DeliveryParts
    ingest: IngestParts
    monitoring: MonitoringParts

    def prepare(self, config: Config) -> list[Callable[[], None]]:
        """Prepares all parts; blocking. Returns the functions that apply the configuration, in their order."""
        return [part.prepare(config) for part in (self.storage, self.delivery, self.ingest, self.monitoring)]


class Reload:
    """Reloads the configuration of one bridge. ``load`` reads the files of a configuration; it raises
    ConfigurationError."""

    def __init__(
        self, config: Config, parts: Subsystems, process: Process, *, load: Callable[[Config], Config],
        confirmation: Confirmation,
    ) -> None:  # fmt: skip
        self.config = config
        "The configuration in use."
        self._parts = parts
        self._reactor = process.reactor
        self._manager = process.manager
        self._load = load
        self._confirmation = confirmation
        self._subscribers: list[Callable[[Config], object]] = []
        self._one_at_a_time = defer.DeferredLock()
        self._stopped = False

    def subscribe(self, callback: Callable[[Config], object]) -> None:
        """Calls ``callback`` with each configuration that has taken effect."""
        self._subscribers.append(callback)

    def stop(self) -> None:
        """Stops: a reload that is being prepared is not applied."""
        self._stopped = True
        self._confirmation.stop()

    def set_key(self, intake: str, key: str) -> None:
        """Uses another key for an intake; the caller has written it to the key file. Raises ReloadError."""
        before = self.config.intakes.get(intake)
        if before is None:
            raise ReloadError([f"intake {intake} is not in the running configuration. Run syslog-bridge reload first"])
        after = replace(before, intake_key=Secret(key))
        self.config = replace(self.config, intakes={**self.config.intakes, intake: after})
        self._parts.delivery.courier_set.set_key(after)
        self._parts.ingest.keys.change(self.config)
        log.info("intake {intake}: new key in use", intake=intake)

    def run(self, confirm_within: float | None = None) -> "defer.Deferred[JSON]":
        """Reloads. Returns the result in one sentence, and the seconds for which the reactor was blocked.

        ``confirm_within``: seconds after which the previous configuration is used again unless ``confirm`` is called.
        Fails with ReloadError; then nothing has changed. Concurrent calls run one after the other.
        """
        return self._one_at_a_time.run(lambda: defer.ensureDeferred(self._reload(confirm_within)))

    def confirm(self) -> "defer.Deferred[JSON]":
        """Keeps the configuration in use. Fails with ReloadError if none waits for that."""
        return self._one_at_a_time.run(lambda: defer.ensureDeferred(self._confirm()))

    def revert(self) -> "defer.Deferred[JSON]":
        """Goes back to the previous configuration, if one waits. Fails with ReloadError; then nothing has changed."""
        return self._one_at_a_time.run(lambda: defer.ensureDeferred(self._go_back()))

    async def _confirm(self) -> JSON:
        return {"text": await self._confirmation.confirm()}

    async def _go_back(self) -> JSON:
        alarms, texts = self._parts.storage.alarms, self._confirmation.previous.texts
        log.warn("reload: the configuration was not confirmed in time, going back to the previous one")
        self._manager.reloading()
        try:
            done = await self._try(lambda config: load_again(texts))
        except ReloadError as error:
            for fault in error.faults:
                log.error("reload: {fault}", fault=fault)
            text = f"the configuration was not confirmed, but the previous one cannot be used: {error.faults[0]}"
            remedy = f"correct that and reload the previous configuration, or {REMEDY}"
            alarms.on("reload", "confirmation", text, remedy=remedy)
            raise
        finally:
            self._manager.ready()
        await self._confirmation.reverted()
        self._parts.monitoring.status.note_failed_reload()
        log.info("reload: the previous configuration is in use: {text}", text=done["text"])
        return done

    async def _reload(self, confirm_within: float | None) -> JSON:
        log.info("reload: reading the configuration")
        alarms, before = self._parts.storage.alarms, self.config
        self._manager.reloading()
        try:
            done = await self._try(self._load)
        except ReloadError as error:
            for fault in error.faults:
                log.error("reload: {fault}", fault=fault)
            text = f"the configuration on disk is not in use: {error.faults[0]}"
            if len(error.faults) > 1:
                text += f" (and {counted(len(error.faults) - 1, 'more fault')})"
            self._parts.monitoring.status.note_failed_reload()
            remedy = (
                'run "syslog-bridge check" and correct it, then run "syslog-bridge reload".'
                " The previous configuration is used until then"
            )
            alarms.on("reload", "configuration", text, remedy=remedy)
            raise
        finally:
            self._manager.ready()
        alarms.off("drain", "listeners", "the listeners are open again")
        alarms.off("reload", "configuration", "the configuration on disk is in use again")
        if unconfirmed := await self._confirmation.applied(before, self.config, confirm_within):
            done["text"] = f"{done['text']}. {unconfirmed}"
        log.info("reload: {text}", text=done["text"])
        return done

    async def _try(self, load: Callable[[Config], Config]) -> JSON:
        listener_set = self._parts.ingest.listener_set
        threads = self._reactor.getThreadPool()
        try:
            config, applies = await deferToThreadPool(self._reactor, threads, self._prepare, load)
        except ConfigurationError as error:
            raise ReloadError([str(fault) for fault in error.faults]) from None
        except OSError as error:
            raise ReloadError([f"{error.filename or ''}: {error.strerror}"]) from None
        except PemError as error:
            raise ReloadError([str(error)]) from None
        if faults := self._needs_restart(config):
            raise ReloadError(faults)
        await listener_set.wait_closed()
        if self._stopped:
            raise ReloadError(["the bridge is stopping"])
        try:
            change = listener_set.prepare(config)
        except ListenError as error:
            raise ReloadError([str(error)]) from None
        text = _summary(self.config, config)
        began = self._reactor.seconds()
        for apply in applies:
            apply()
        closed = listener_set.apply(change)
        self.config = config
        warn_about_old_names(config)
        for callback in self._subscribers:
            callback(config)
        pause = self._reactor.seconds() - began
        closed.addErrback(lambda failure: log.failure("defect while closing listeners", failure))
        return {"text": f"{text}; the pause was {pause * 1000:.1f} ms", "pause_seconds": pause}

    def _prepare(self, load: Callable[[Config], Config]) -> tuple[Config, list[Callable[[], None]]]:
        """Loads and prepares a configuration; runs in a thread.

        The thread releases the interpreter more often than Python's default of 5 ms: after each system call the reactor
        would otherwise wait that long for the thread.
        """
        default = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            config = load(self.config)
            return config, self._parts.prepare(config)
        finally:
            sys.setswitchinterval(default)

    def _needs_restart(self, new: Config) -> list[str]:
        old = self.config
        return [
            f"{key} cannot change while the bridge runs: {before} -> {after} needs restart"
            for key, before, after in (
                ("spool.directory", old.spool.directory, new.spool.directory),
                ("admin.listen", old.admin.listen, new.admin.listen),
                ("cluster", _presence(old.cluster), _presence(new.cluster)),
                ("admin.cert_file", _presence(old.admin.cert_file), _presence(new.admin.cert_file)),
            )
            if before != after
        ] + _cluster_needs_restart(old.cluster, new.cluster)


def _summary(old: Config, new: Config) -> str:
    """Returns the size of the new configuration and the intakes and listeners that were added or removed."""
    sizes = ((new.routes, "route"), (new.intakes, "intake"), (new.listeners, "listener"))
    parts = [", ".join(counted(len(items), noun) for items, noun in sizes)]
    for what, before, after in (
        ("intake", set(old.intakes), set(new.intakes)),
        ("listener", {each.name for each in old.listeners}, {each.name for each in new.listeners}),
    ):
        parts += [f"{what} {name} added" for name in sorted(after - before)[:5]]
        parts += [f"{what} {name} removed" for name in sorted(before - after)[:5]]
    return ", ".join(parts)


def _cluster_needs_restart(old: ClusterSection | None, new: ClusterSection | None) -> list[str]:
    """Returns a fault for each changed option but the password, which the next connection uses."""
    if old is None or new is None:
        return []
    return [
        f"cluster.{key} cannot change while the bridge runs: it needs restart"
        for key in ClusterSection.model_fields
        if key != "password" and getattr(old, key) != getattr(new, key)
    ]


def _presence(value: object) -> str:
    return "none" if value is None else "one"
