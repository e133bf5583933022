"""Builds the couriers, which deliver what the spool holds."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.app.process import Process
from bridge.app.storage import StorageParts
from bridge.config import Config
from bridge.deliver import from_config as deliver_config
from bridge.deliver.context import DeliveryContext
from bridge.deliver.couriers import CourierSet
from bridge.deliver.dispatcher import Dispatcher
from bridge.monitoring.gateway_clock import GatewayClock
from bridge.monitoring.runtime_metrics import RuntimeMetrics
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
    runtime_metrics = RuntimeMetrics(reactor.seconds)
    dispatcher = Dispatcher(
        reactor, connections=config.collector.connections, rate=config.collector.max_request_rate,
        bandwidth=deliver_config.bandwidth(config),
    )  # fmt: skip
    context = DeliveryContext(
        clock=reactor,
        wall=process.wall,
        store=DeliveryStore(storage.opened, spool_thread.work),
        ledger=storage.opened.ledger,
        dispatcher=dispatcher,
        alarms=storage.alarms,
        runtime_metrics=runtime_metrics,
        run=spool_thread.run,
        before_sending=storage.fsync_policy.before_sending,
        date_seen=gateway_clock.answered,
        exact=storage.opened.spool.is_exact,
    )
    courier_set = CourierSet(config, reactor, context=context)
    storage.opened.spool.subscribe(courier_set.add)
    return DeliveryParts(context, dispatcher, courier_set, gateway_clock, runtime_metrics)
