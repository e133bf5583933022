"""The composition root: a configuration becomes a running graph. The one place that knows the reactor and wires.

Start: spool (lock, recovery), couriers, admin, listeners last, so that nothing is received that could not be kept.
Stop: listeners first, what the sockets hold is drained, answers are waited for, everything is sealed.
"""

import gc
import signal
import socket
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from twisted.internet import defer, task
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from bridge import logs, metrics
from bridge.alarms import Alarms
from bridge.batching import Group, Limits, Window
from bridge.batching.encoding import LINES, escaped
from bridge.cellar import Cellar
from bridge.config import Config, ConfigurationError, Intake, load
from bridge.deliver.breaker import Breaker
from bridge.deliver.client import Client
from bridge.deliver.courier import Courier, Office, Target, Turn
from bridge.deliver.dispatcher import Dispatcher
from bridge.gate import Gate
from bridge.keeper import EVERY as LOOK_EVERY
from bridge.keeper import Keeper, Kept
from bridge.ledger import Ledger
from bridge.listen.doors import Doors
from bridge.listen.peers import Peers
from bridge.listen.road import Road
from bridge.listen.sockets import ListenError
from bridge.measures import Measures
from bridge.quota import Quotas
from bridge.recorder import Recorder
from bridge.routing import Router
from bridge.spool import Batch, BatchLimits, Pack, Spool, SpoolError, fresh
from bridge.spool.archive import Archive
from bridge.spool.budget import Terms
from bridge.spool.history import History
from bridge.spool.quarantine import REASONS
from bridge.spool.syncing import Syncing
from bridge.status import Status
from bridge.watch import EVERY, Watch

log = Logger(namespace="app")

EXPIRE_EVERY = 3600.0
"Seconds between two looks for what is too old in quarantine."
ANSWERS_WITHIN = 5.0
"Seconds that the end waits for requests in flight."

ARCHIVE_EVERY = 30.0
"Seconds."


class SteadyReactor(EPollReactor):
    """Timers by a clock that nobody sets. Twisted's would freeze for an hour when the wall clock goes back by one."""

    def seconds(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()


def install_reactor() -> SteadyReactor:
    """The process's reactor, installed by the first call. Nothing may have imported Twisted's before."""
    installed = sys.modules.get("twisted.internet.reactor")
    if installed is None:
        from twisted.internet.main import installReactor  # noqa: PLC0415

        installReactor(SteadyReactor())  # type: ignore[no-untyped-call]
    from twisted.internet import reactor  # noqa: PLC0415

    if not isinstance(reactor, SteadyReactor):
        raise RuntimeError("another reactor was installed first")
    return reactor


class Bridge:
    """One configuration, running. ``wall`` is the one source of wall time, in seconds since the epoch."""

    def __init__(self, config: Config, reactor: Any, *, wall: Callable[[], float] = time.time) -> None:
        self.config = config
        self.ledger = Ledger()
        self._reactor = reactor
        self._wall = wall
        self._threads = ThreadPool(1, 1, name="spool")
        self._clients: dict[tuple[object, ...], Client] = {}
        self._breakers: dict[str, Breaker] = {}
        self.alarms = Alarms(self._emit)
        self.measures = Measures(reactor.seconds)
        self.couriers: dict[str, Courier] = {}
        self._sealer = task.LoopingCall(self._seal_due)
        self._sealer.clock = reactor
        self._archivist = task.LoopingCall(self._tidy_archive)
        self._archivist.clock = reactor
        self._troubles: dict[str, float] = {}
        self._stopped = False
        router = Router(
            routes=config.routes,
            intakes=config.intakes,
            listeners={listener.name: listener.intake for listener in config.listeners},
            sources=config.sources,
            unrouted=config.unrouted,
            timezone=config.timezone,
        )
        self.peers = Peers(router)
        self.spool = self._make_spool()
        self.dispatcher = Dispatcher(
            reactor, connections=config.collector.connections, rate=config.collector.max_request_rate,
            bandwidth=None if config.collector.max_bandwidth is None else config.collector.max_bandwidth / 8,
        )  # fmt: skip
        self._strangers: dict[str, list[Batch | Pack]] = {}
        self._syncing = Syncing(
            config.spool.fsync, directory=config.spool.directory, clock=reactor.seconds, wall=wall,
            on_error=lambda text: reactor.callFromThread(self._trouble, text),
        )  # fmt: skip
        self.keeper = Keeper(
            self.spool,
            terms=Terms(config.spool.max_size, config.spool.min_free, pause=config.spool.when_full == "pause"),
            syncing=self._syncing, stocks=self.couriers, strangers=self._strangers, ledger=self.ledger,
            alarms=self.alarms, work=self._work, clock=reactor.seconds,
        )  # fmt: skip
        if self.spool.archive is not None:
            self.keeper.archive = Kept(self.spool.archive)
        self.quotas = Quotas(
            config.spool.directory / ".quota.json", {name: intake.quota for name, intake in config.intakes.items()},
            deliverers=self.couriers, alarms=self.alarms, wall=wall, work=self._work,
        )  # fmt: skip
        self.road = Road(
            spool=self.spool,
            ledger=self.ledger,
            wall=wall,
            limits=_limits(config),
            spool_encoding=lambda intake: "lines",
            truncate=config.oversize == "truncate",
            on_trouble=self._trouble,
            room=self.keeper,
        )
        self.keeper.on_room = self.road.resume
        history = History(config.spool.directory / ".ledger", keep=config.ledger.keep, wall=wall)
        history.on_error = lambda text: self._reactor.callFromThread(self._trouble, text)
        self.recorder = Recorder(
            history, self.ledger, self._in_thread, reactor, self._kernel_drops, wall
        )  # fmt: skip
        self._office = Office(
            clock=reactor,
            wall=wall,
            store=Cellar(
                self.spool, self.ledger, work=self._work, receipt=self.recorder.receipt, refused=self.recorder.refused
            ),
            ledger=self.ledger,
            dispatcher=self.dispatcher,
            alarms=self.alarms,
            measures=self.measures,
            in_thread=self._in_thread,
            before_sending=self._syncing.before_sending,
        )
        self.doors = Doors(config, reactor=reactor, road=self.road, peers=self.peers)
        self._watch = Watch(
            self.alarms, ledger=self.ledger, peers=self.peers, kernel_drops=self.doors.kernel_drops,
            clock=reactor.seconds,
        )  # fmt: skip
        self._rounds = [
            (self._round(self.keeper.look), LOOK_EVERY), (self._round(self._watch.look), EVERY),
            (self._round(self.quotas.look), EVERY), (self._round(self._expire), EXPIRE_EVERY),
        ]  # fmt: skip
        self.status = Status(
            ledger=self.ledger, couriers=self.couriers, spool=self.spool, road=self.road, peers=self.peers,
            doors=self.doors, alarms=self.alarms, measures=self.measures, config_sha256=config.sha256, wall=wall,
            strangers=self._strangers, keeper=self.keeper, quota=self.quotas.report,
        )  # fmt: skip
        self.gate = Gate(config, reactor, status=self.status, metrics=lambda: metrics.text(self.status))
        self._ticker = task.LoopingCall(self.measures.tick)
        self._ticker.clock = reactor

    def _make_spool(self) -> Spool:
        batch, spool = self.config.batch, self.config.spool
        quarter = spool.quarantine.max_size // 4
        unrouted = self.config.unrouted.max_size if self.config.unrouted.kind == "hold" else quarter
        made = Spool(
            spool.directory,
            limits=BatchLimits(
                max_age=batch.max_age.total_seconds(),
                max_events=batch.max_events,
                max_bytes=batch.max_bytes,
                resolution_ms=_ms(batch.timestamp_resolution),
            ),
            wall=self._wall,
            clock=self._reactor.seconds,
            work=self._work,
            bounds={"refused": quarter, "oversize": quarter, "damaged": quarter, "unrouted": unrouted},
            keep=fresh.MOST,
        )
        made.on_sealed = self._sealed
        made.on_error = lambda text: self._reactor.callFromThread(self._trouble, text)
        if (archive := spool.archive) is not None:
            age = None if archive.max_age is None else archive.max_age.total_seconds()
            made.archive = Archive(
                spool.directory / ".archive", max_size=archive.max_size, max_age=age, wall=self._wall,
                on_error=made.on_error,
            )  # fmt: skip
        return made

    # --- start -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Run. Raises SpoolError or ListenError: then nothing runs."""
        self._threads.start()
        try:
            for name, intake in self.config.intakes.items():
                self._add_courier(name, intake)
            self._recover()
            self.quotas.recover()
            self.keeper.begin()
            self._expire()
            await self.gate.open()
            self.doors.open()
        except BaseException:
            await self.stop()
            raise
        self._sealer.start(min(0.25, self.config.batch.max_age.total_seconds() / 4), now=False)
        for call, every in self._rounds:
            call.start(every, now=False)
        if self.spool.archive is not None:
            self._archivist.start(ARCHIVE_EVERY, now=False)
        self._ticker.start(self.measures.TICK, now=False)
        log.info("ready: {listeners}", listeners=", ".join(self.doors.names()))

    def _add_courier(self, name: str, intake: Intake) -> None:
        config, destination = self.config, intake.destination
        trust = (destination.ca_file, destination.extra_ca_file, destination.timeout)
        if trust not in self._clients:
            self._clients[trust] = Client(
                self._reactor,
                connections=config.collector.connections,
                timeout=destination.timeout.total_seconds(),
                ca_file=destination.ca_file,
                extra_ca_file=destination.extra_ca_file,
            )
        target = Target(
            url=destination.url + destination.endpoint,
            headers=lambda: {"X-SEKOIAIO-INTAKE-KEY": intake.intake_key.reveal()},
            gzip=destination.compression == "gzip",
        )
        turn = Turn(
            in_flight=config.collector.connections_per_intake,
            max_events=config.batch.max_events,
            max_bytes=config.batch.max_bytes,
            resolution_ms=_ms(config.batch.timestamp_resolution),
            catch_up_ms=_ms(config.batch.catch_up_resolution),
            live_for=max(10.0, 3 * config.batch.max_age.total_seconds()),
            live_first=config.spool.order == "live-first",
        )
        if destination.url not in self._breakers:
            self._breakers[destination.url] = Breaker(self._reactor, wake=self.dispatcher.wake)
        courier = Courier(
            name, target, turn, office=self._office, poster=self._clients[trust],
            breaker=self._breakers[destination.url],
        )  # fmt: skip
        self.couriers[name] = courier
        self.dispatcher.add(courier)

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
            if pack.intake in self.couriers:
                self.couriers[pack.intake].add_pack(pack)
            else:
                self._strangers.setdefault(pack.intake, []).append(pack)
        for batch in found.batches:
            self.ledger.recover_spooled(batch.intake, batch.count)
            self._sealed(batch)
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
        for intake, batches in self._strangers.items():
            batches.sort(key=lambda held: held.sequence)
            log.warn(
                "spool: {n} files of intake {intake}, which is not in the configuration, are kept and not sent",
                n=len(batches), intake=intake,
            )  # fmt: skip

    # --- what the parts ask of each other ----------------------------------------------------------------------------

    def _sealed(self, batch: Batch) -> None:
        self._syncing.add(batch)
        courier = self.couriers.get(batch.intake)
        if courier is not None:
            courier.add(batch)
        else:
            self._strangers.setdefault(batch.intake, []).append(batch)

    def _emit(self, text: str) -> None:
        """A self event: one of the bridge's own alarms among the events of ``admin.self_events``."""
        intake = self.config.admin.self_events
        if intake is None:
            return
        now = int(self._wall() * 1000)
        line = escaped(f"syslog-bridge gateway={socket.gethostname()} {text}".encode()) + b"\n"
        group = Group(intake, LINES, now // _ms(self.config.batch.timestamp_resolution), now, now, 1, line)
        try:
            self.spool.append(group)
        except OSError:
            # The alarm is in the log; that the spool cannot be written has its own.
            return
        self.ledger.receive_spooled(intake, 1)

    def _kernel_drops(self) -> dict[str, int]:
        return self.doors.kernel_drops()

    def _in_thread(self, job: Callable[[], Any]) -> "defer.Deferred[Any]":
        return deferToThreadPool(self._reactor, self._threads, job)

    def _work(self, job: Callable[[], object], done: Callable[[object], None]) -> None:
        def defect(failure: Failure) -> None:
            log.failure("spool: defect in the spool's thread", failure)

        self._in_thread(job).addCallback(done).addErrback(defect)

    def _round(self, look: Callable[[], None]) -> task.LoopingCall:
        call = task.LoopingCall(look)
        call.clock = self._reactor
        return call

    def _expire(self) -> None:
        """What is too old in quarantine goes, and is counted."""
        for reason in REASONS:
            hold = self.config.unrouted if reason == "unrouted" else self.config.spool.quarantine
            max_age = None if hold.max_age is None else hold.max_age.total_seconds()

            def counted(gone: object, reason: str = reason) -> None:
                assert isinstance(gone, int)
                if gone:
                    self.ledger.drop_quarantined(None, gone, f"{reason}_expired")
                    log.info("quarantine: {n} frames ({why}) were too old and are gone", n=gone, why=reason)

            if reason == "refused":
                # Written in the spool's thread only; the others on the reactor only.
                self._work(lambda age=max_age: self.spool.quarantine.expire("refused", age), counted)  # type: ignore[misc]
            else:
                counted(self.spool.quarantine.expire(reason, max_age))
        self._work(self._trim_aside, lambda nothing: None)

    def _trim_aside(self) -> None:
        max_age = self.config.spool.quarantine.max_age
        try:
            gone = self.spool.quarantine.trim_aside(None if max_age is None else max_age.total_seconds())
        except OSError as error:
            log.warn("quarantine: cannot remove {file}: {why}", file=error.filename, why=error.strerror)
            return
        for path in gone:
            log.warn("quarantine: {file} was too old, or one too many, and is gone", file=path)

    def _seal_due(self) -> None:
        self.spool.seal_due()
        for courier in self.couriers.values():
            courier.tidy()
        self.doors.check_idle()

    def _tidy_archive(self) -> None:
        assert self.spool.archive is not None
        self._work(self.spool.archive.tidy, lambda nothing: None)

    def _trouble(self, text: str) -> None:
        """Log a trouble of the hot path, at most once in ten seconds each."""
        now = self._reactor.seconds()
        if now - self._troubles.get(text, float("-inf")) >= 10:
            if len(self._troubles) > 1000:
                self._troubles.clear()
            self._troubles[text] = now
            log.error("{text}", text=text)

    # --- stop --------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stop as the contract says: within ten seconds, with everything that was received on disk. Once is enough."""
        if self._stopped:
            return
        self._stopped = True
        await self.doors.close()
        self.road.finish()
        for call in (self._sealer, self._archivist, self._ticker, *(call for call, _ in self._rounds)):
            if call.running:
                call.stop()
        self.dispatcher.stop()
        self.spool.seal_all()
        ends_at = self._reactor.seconds() + ANSWERS_WITHIN
        while (self.dispatcher.in_flight or not self.spool.idle) and self._reactor.seconds() < ends_at:
            await task.deferLater(self._reactor, 0.02)
        for courier in self.couriers.values():
            courier.stop()
        for breaker in self._breakers.values():
            breaker.stop()
        self.quotas.look()
        await self.gate.close()
        for client in self._clients.values():
            await client.close()
        await self.recorder.stop()
        if self._threads.started:
            self._threads.stop()
        self.spool.close()


def _ms(delta: timedelta) -> int:
    return round(delta.total_seconds() * 1000)


def _limits(config: Config) -> Limits:
    past, future = config.timestamps.max_past, config.timestamps.max_future
    return Limits(
        resolution_ms=_ms(config.batch.timestamp_resolution),
        window=Window(None if past is None else _ms(past), None if future is None else _ms(future)),
    )


def _spare_the_collector() -> None:
    """What has been built lives as long as the process: Python's garbage collector need not look at it again and again,
    and not at every few hundred rows of a read."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def run(path: Path) -> int:
    """``syslog-bridge run``: the exit code."""
    try:
        config = load(path)
    except ConfigurationError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)  # noqa: T201
        return 2
    reactor = install_reactor()
    logs.begin()
    code = 0

    async def live() -> None:
        try:
            bridge = Bridge(config, reactor)
            await bridge.start()
        except (SpoolError, ListenError) as error:
            print(f"syslog-bridge: {error}", file=sys.stderr)  # noqa: T201
            nonlocal code
            code = 2
            reactor.stop()
            return
        _spare_the_collector()
        reactor.addSystemEventTrigger("before", "shutdown", lambda: stop(bridge))

    def stop(bridge: Bridge) -> "defer.Deferred[None]":
        log.info("stopping")
        ended = defer.ensureDeferred(bridge.stop())
        ended.addErrback(lambda failure: log.failure("defect while stopping", failure))
        ended.addCallback(
            lambda nothing: log.info("stopped; {n} events wait in the spool", n=bridge.ledger.total().spooled)
        )
        return ended

    def begin() -> None:
        def defect(failure: Failure) -> None:
            nonlocal code
            log.failure("defect while starting", failure)
            code = 1
            reactor.stop()

        signal.signal(signal.SIGHUP, lambda number, frame: log.warn("reload is not supported yet: restart instead"))
        defer.ensureDeferred(live()).addErrback(defect)

    reactor.callWhenRunning(begin)
    reactor.run()
    return code
