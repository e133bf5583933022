"""Builds the path of messages into the spool: listeners, pipeline and disk budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.app.delivery import ClusterParts
from bridge.app.process import Process
from bridge.app.storage import StorageParts
from bridge.config import Config
from bridge.ingest import from_config as ingest_config
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.mirror import Mirror
from bridge.ingest.peers import Peers
from bridge.ingest.pipeline import Pipeline
from bridge.ingest.spool_writer import SpoolWriter
from bridge.listen.https import https_listener
from bridge.listen.listener_set import ListenerSet
from bridge.listen.request_sink import IntakeKeys
from bridge.spool.batch import OpenBatch
from bridge.storage import from_config as storage_config
from bridge.storage.disk_budget import DiskBudget
from bridge.storage.quota import Quotas
from bridge.tls.seen_clients import SeenClientsFile
from bridge.util.clock import WallClock


@dataclass(frozen=True, slots=True)
class IngestParts:
    """The way of messages from the listeners to the spool."""

    peers: Peers
    disk_budget: DiskBudget
    quotas: Quotas
    mirror: Mirror
    pipeline: Pipeline
    keys: IntakeKeys
    "Keys that HTTPS listeners accept."
    listener_set: ListenerSet
    seen_clients: SeenClientsFile
    wall: WallClock

    def follow_clock(self, config: Config) -> None:
        """Applies the limits of timestamps again, because the clock was set for the first time."""
        limits = ingest_config.group_limits(config, clock_is_set=self.wall.is_set())
        self.pipeline.change(limits=limits, truncate=config.oversize == "truncate")

    def prepare(self, config: Config) -> Callable[[], None]:
        """Compiles the routes. Returns a function that applies the configuration, except the listeners. Blocking."""
        router = ingest_config.router(config, self.pipeline.read_counts.note_limit)

        def apply() -> None:
            self.peers.change(router, int(self.wall() * 1000))
            self.follow_clock(config)
            self.pipeline.message_samples.allow(config.admin.show_messages)
            self.mirror.change(ingest_config.mirror_targets(config))
            self.keys.change(config)
            self.quotas.change(_quotas(config))
            # After the limits of the spool and the couriers.
            self.disk_budget.change(storage_config.budget_terms(config))

        return apply


def build_ingest(config: Config, process: Process, storage: StorageParts, cluster: ClusterParts) -> IngestParts:
    """Builds the listeners, without opening sockets, and what takes their messages to the spool."""
    reactor, wall, work = process.reactor, process.wall, process.spool_thread.work
    spool, ledger = storage.opened.spool, storage.opened.ledger
    disk_budget = DiskBudget(
        spool, terms=storage_config.budget_terms(config), members=cluster.backlogs, ledger=ledger,
        alarms=storage.alarms, work=work, clock=reactor.seconds,
    )  # fmt: skip
    quotas = Quotas(
        config.spool.directory / ".quota.json", _quotas(config), deliverers=cluster.backlogs, alarms=storage.alarms,
        wall=wall, work=work,
    )  # fmt: skip

    def log_write_error(text: str) -> None:
        # While an alarm shows that the spool cannot be written, further failures are no news.
        if not any(kind == "spool" for kind, _ in storage.alarms.active):
            process.log_throttle.log_error(text)

    def commit(files: Sequence[OpenBatch], done: Callable[[OSError | None], None]) -> None:
        def committed(error: OSError | None) -> None:
            if error is not None:
                disk_budget.sync_failed(error)
            done(error)

        storage.group_commit.after(files, committed)

    storage.fsync_policy.subscribe(disk_budget.sync_failed)
    mirror, keys = Mirror(reactor), IntakeKeys(config)
    pipeline = Pipeline(
        spool_writer=SpoolWriter(spool=spool, ledger=ledger, room=disk_budget, on_error=log_write_error),
        ledger=ledger, wall=wall, limits=ingest_config.group_limits(config, clock_is_set=wall.is_set()),
        truncate=config.oversize == "truncate",
        message_samples=MessageSamples(on=config.admin.show_messages), mirror=mirror,
    )  # fmt: skip
    peers = Peers(ingest_config.router(config, pipeline.read_counts.note_limit))
    listener_set = ListenerSet(
        config, reactor=reactor, pipeline=pipeline, peers=peers, commit=commit,
        store=process.manager,
        kinds={"https": lambda listener, bound, context: https_listener(listener, bound, context, keys, wall)},
    )  # fmt: skip
    seen_clients = SeenClientsFile(
        config.spool.directory, listener_set.listener_context.seen_clients, wall=wall, work=work
    )
    return IngestParts(peers, disk_budget, quotas, mirror, pipeline, keys, listener_set, seen_clients, wall)


def _quotas(config: Config) -> dict[str, int | None]:
    return {name: intake.quota for name, intake in config.intakes.items()}
