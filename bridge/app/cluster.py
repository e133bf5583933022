"""Builds this node of a cluster, if the backlog is shared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.app.delivery import DeliveryParts
from bridge.app.process import Process
from bridge.app.storage import StorageParts
from bridge.cluster import from_config as cluster_config
from bridge.cluster.backlog_view import BacklogView, BacklogViews
from bridge.cluster.consumer import acknowledge_all
from bridge.cluster.node import ClusterNode
from bridge.cluster.node_name import node_name
from bridge.config import Config, Secret
from bridge.deliver.courier import Courier
from bridge.storage.delivery_store import DeliveryStore


@dataclass(frozen=True, slots=True)
class ClusterParts:
    """The delivery of each intake as the rest of the gateway sees it, and the node if the backlog is shared."""

    backlogs: Mapping[str, Courier | BacklogView]
    node: ClusterNode | None = None


def build_cluster(
    config: Config,
    process: Process,
    storage: StorageParts,
    delivery: DeliveryParts,
    current: Callable[[], Config],
) -> ClusterParts:
    """Builds the node. ``current`` returns the configuration in use. Raises SpoolError."""
    share, couriers = config.spool.share, delivery.courier_set.couriers
    if share is None:
        return ClusterParts(couriers)
    # Imported only if the backlog is shared: nothing else needs pika.
    from bridge.cluster.amqp import Rabbit  # noqa: PLC0415

    def password() -> Secret | None:
        current_share = current().spool.share
        return None if current_share is None else current_share.password

    reactor, run, quarantine = process.reactor, process.spool_thread.run, storage.opened.spool.quarantine
    name = node_name(config.spool.directory)
    node = ClusterNode(
        cluster_config.cluster_terms(share, node=name), connect=Rabbit(reactor, share, password, name=name).connect,
        own=couriers, context=delivery.context, on_courier_count=delivery.courier_set.share_rate,
        shared=DeliveryStore(
            storage.opened, process.spool_thread.work,
            acknowledge_taken=lambda batches: reactor.callFromThread(acknowledge_all, batches),
        ),
        quarantine=lambda *message: run(lambda: quarantine.save_damaged(*message)),
    )  # fmt: skip
    delivery.courier_set.subscribe(node.configure_intake)
    return ClusterParts(BacklogViews(lambda: iter(list(couriers)), node.view), node)
