"""Builds the couriers, which deliver what the spool holds, and the cluster node if the backlog is shared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.app.process import Process
from bridge.app.storage import StorageParts
from bridge.cluster.backlog_view import BacklogView, BacklogViews
from bridge.cluster.consumer import acknowledge_all
from bridge.cluster.node import ClusterNode
from bridge.cluster.terms import ClusterTerms, node_name
from bridge.config import Config, Secret
from bridge.deliver import from_config as deliver_config
from bridge.deliver.context import DeliveryContext
from bridge.deliver.courier import Courier
from bridge.deliver.couriers import CourierSet
from bridge.deliver.dispatcher import Dispatcher
from bridge.host.waiting import reported
from bridge.monitoring.gateway_clock import GatewayClock
from bridge.monitoring.runtime_metrics import RuntimeMetrics
from bridge.spool import Batch
from bridge.storage.delivery_store import DeliveryStore


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    """The couriers of a running bridge, and what they measure."""

    context: DeliveryContext
    dispatcher: Dispatcher
    courier_set: CourierSet
    gateway_clock: GatewayClock
    runtime_metrics: RuntimeMetrics

    def prepare(self, config: Config) -> Callable[[], None]:
        """Creates HTTP clients. Returns a function that applies the configuration. Blocking. Raises OSError or
        PemError."""
        prepared = self.courier_set.prepare(config)
        return lambda: self.courier_set.apply(config, prepared)


def build_delivery(config: Config, process: Process, storage: StorageParts) -> DeliveryParts:
    """Builds the couriers. They get every batch that is sealed from now on."""
    reactor, spool_thread = process.reactor, process.spool_thread
    gateway_clock = GatewayClock(storage.alarms, wall=process.wall)
    runtime_metrics = RuntimeMetrics(reactor.seconds, reactor.longest_turn)
    dispatcher = Dispatcher(
        reactor, connections=config.collector.connections, rate=config.collector.max_request_rate,
        bandwidth=deliver_config.bandwidth(config),
    )  # fmt: skip

    async def before_sending(batches: list[Batch]) -> None:
        await reported(lambda done: storage.fsync_policy.before_sending(batches, done))

    context = DeliveryContext(
        clock=reactor, wall=process.wall,
        store=DeliveryStore(storage.opened, spool_thread.work, clock=reactor, alarms=storage.alarms),
        ledger=storage.opened.ledger, dispatcher=dispatcher, alarms=storage.alarms, runtime_metrics=runtime_metrics,
        run=spool_thread.run, before_sending=before_sending, on_error=process.log_throttle.log_error_from_thread,
        date_seen=gateway_clock.answered, exact=storage.opened.spool.is_exact,
    )  # fmt: skip
    courier_set = CourierSet(config, reactor, context=context)
    storage.opened.spool.subscribe(courier_set.add)
    return DeliveryParts(context, dispatcher, courier_set, gateway_clock, runtime_metrics)


@dataclass(frozen=True, slots=True)
class ClusterParts:
    """The delivery of each intake as the rest of the gateway sees it, and the node if the backlog is shared."""

    backlogs: Mapping[str, Courier | BacklogView]
    node: ClusterNode | None = None


def build_cluster(
    config: Config, process: Process, storage: StorageParts, delivery: DeliveryParts, current: Callable[[], Config]
) -> ClusterParts:
    """Builds the node. ``current`` returns the configuration in use. Raises SpoolError."""
    section, couriers = config.cluster, delivery.courier_set.couriers
    if section is None:
        return ClusterParts(couriers)
    # Imported only if the backlog is shared: nothing else needs pika.
    from bridge.cluster.amqp import Rabbit  # noqa: PLC0415

    def password() -> Secret | None:
        current_section = current().cluster
        return None if current_section is None else current_section.password

    reactor, run, quarantine = process.reactor, process.spool_thread.run, storage.opened.spool.quarantine
    name = node_name(config.spool.directory)
    node = ClusterNode(
        ClusterTerms.of(section, node=name), connect=Rabbit(reactor, section, password, name=name).connect,
        own=couriers, context=delivery.context, on_courier_count=delivery.courier_set.share_rate,
        shared=DeliveryStore(
            storage.opened, process.spool_thread.work, clock=reactor, alarms=storage.alarms,
            acknowledge_taken=lambda batches: reactor.callFromThread(acknowledge_all, batches),
        ),
        quarantine=lambda *message: run(lambda: quarantine.save_damaged(*message)),
    )  # fmt: skip
    delivery.courier_set.subscribe(node.configure_intake)
    return ClusterParts(BacklogViews(couriers, node.view), node)
