"""Runs one node of a cluster: its broker connections, and a publisher and a consumer for each intake.

=========  ==================================  ==========================================
role       events that this node receives      batches in the queues
=========  ==================================  ==========================================
gateway    published to the queues             -
courier    delivered by this node              delivered by this node
both       published to the queues             delivered by this node
=========  ==================================  ==========================================

A node with role both delivers its own events directly once it could not publish for ``fallback_after``, because no
broker answers or all brokers block publishers. It does so until a broker accepts batches again, as the collector may
well be reachable. A full queue is no reason to do so: then the couriers, including this one, are behind.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from twisted.internet import defer
from twisted.logger import Logger

from bridge.cluster.backlog_view import BacklogView
from bridge.cluster.broker import Connect
from bridge.cluster.broker_connection import BrokerConnection
from bridge.cluster.consumer import Consumer, ConsumerMemory, Quarantine
from bridge.cluster.publisher import Outbox, Publisher
from bridge.cluster.queue_monitor import QueueMonitor
from bridge.cluster.terms import ClusterTerms
from bridge.deliver.context import DeliveryContext, DeliveryPath, RequestLimits, nothing_to_sync
from bridge.deliver.courier import Courier
from bridge.host.waiting import Waiters
from bridge.storage.delivery_store import DeliveryStore
from bridge.util.counts import counted

JSON = dict[str, object]

EVERY = 0.25
"Seconds between two calls of ``look``."

log = Logger(namespace="fleet")


class ClusterNode:
    """Publishes this node's batches and delivers batches of the queues, as its role says.

    ``own`` are the couriers of this node's spool by intake, and ``context`` is their context. ``shared`` stores the
    outcomes of batches that were taken over. ``on_courier_count`` is called with the number of couriers that share the
    request rate.
    """

    def __init__(
        self,
        terms: ClusterTerms,
        *,
        connect: Connect,
        own: Mapping[str, Courier],
        context: DeliveryContext,
        shared: DeliveryStore,
        quarantine: Quarantine,
        on_courier_count: Callable[[int], None],
    ) -> None:
        self.terms = terms
        self.alone: set[str] = set()
        "Intakes whose events this node delivers directly, as no broker accepts them."
        self._own = own
        self._own_context = context
        self._quarantine = quarantine
        self._outbox = Outbox()
        self.consumer_memory = ConsumerMemory(terms.prefetch)
        # Batches that were taken over have no file that must be synced before they are sent.
        self._taken_context = replace(
            context, store=shared, ledger=context.ledger.borrowing(), before_sending=nothing_to_sync,
            exact=self.consumer_memory.is_exact,
        )  # fmt: skip
        self._publishers: dict[str, Publisher] = {}
        self._consumers: dict[str, tuple[Courier, Consumer]] = {}
        self._published_waiters = Waiters(lambda: not self.is_publishing)
        self._stopped = False
        self.publisher_connection = BrokerConnection(
            "publishing", terms.urls, connect=connect, clock=context.clock, on_connected=self._publisher_session_opened,
            on_change=self._wake,
        )  # fmt: skip
        self.consumer_connection = BrokerConnection(
            "consuming", terms.urls, connect=connect, clock=context.clock,
            on_connected=lambda: self.queue_monitor.session_opened(),  # noqa: PLW0108  made below
        )  # fmt: skip
        self.queue_monitor = QueueMonitor(
            self.consumer_connection, terms, clock=context.clock,
            queues=lambda: list(map(terms.queue_of, self._names())), on_courier_count=on_courier_count,
        )  # fmt: skip

    @property
    def _main_connection(self) -> BrokerConnection:
        """Connection whose state is that of the node."""
        return self.publisher_connection if self.terms.publishes else self.consumer_connection

    def _names(self) -> list[str]:
        """Returns the intakes that have a queue on this node."""
        return sorted({*self._publishers, *self._consumers})

    # --- lifecycle ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connects to the brokers."""
        if self.terms.publishes:
            self.publisher_connection.start()
        self.consumer_connection.start()

    def configure_intake(self, name: str, delivery_path: DeliveryPath | None, limits: RequestLimits) -> None:
        """Adds, changes or (without a path) retires an intake. Call before any event of the intake is sent."""
        own = self._own[name]
        if self.terms.publishes and name not in self._publishers:
            self._publishers[name] = Publisher(
                own, self._own_context, self.terms, connection=self.publisher_connection, outbox=self._outbox,
                on_change=self._published_waiters.check,
            )  # fmt: skip
            own.delegate_to(self._publishers[name])
        if not self.terms.consumes:
            return
        taken = self._taken(name)
        if delivery_path is None:
            if taken is not None:
                taken.retire()
        elif taken is not None:
            taken.change(delivery_path, limits)
        else:
            courier = Courier(name, delivery_path, limits, context=self._taken_context)
            consumer = Consumer(
                courier, self._taken_context, self.terms, connection=self.consumer_connection,
                memory=self.consumer_memory, quarantine=self._quarantine,
            )  # fmt: skip
            self._consumers[name] = courier, consumer
            self._own_context.dispatcher.add(courier)
        self.consumer_memory.divide_among(sum(not courier.retired for courier, _ in self._consumers.values()))

    def look(self) -> None:
        """Drives publishers, consumers and the queue monitor, and updates alarms. Called every ``EVERY`` seconds."""
        self.queue_monitor.look()
        for name, publisher in list(self._publishers.items()):
            if name not in self._own:
                publisher.stop()
                del self._publishers[name]
                self.alone.discard(name)
                continue
            publisher.look()
            self._update_alone(name, publisher)
        for name, (courier, consumer) in list(self._consumers.items()):
            consumer.look()
            if courier.retired and not consumer.held and courier.is_quiescent:
                consumer.close()
                courier.leave()
                self._own_context.dispatcher.remove(courier)
                del self._consumers[name]
        self._update_alarms()

    def _update_alone(self, name: str, publisher: Publisher) -> None:
        after = self.terms.fallback_after
        alone = self.terms.consumes and after is not None and publisher.unavailable_for > after
        if alone != (name in self.alone):
            (self.alone.add if alone else self.alone.discard)(name)
            self._own[name].delegate_to(None if alone else publisher)

    def _update_alarms(self) -> None:
        alarms = self._own_context.alarms
        connection = self._main_connection
        if connection.unavailable_for > EVERY * 8:
            if not self.terms.publishes:
                effect = "this node takes no batches over"
            else:
                effect = "this node delivers directly" if self.alone else "batches wait in this node's spool"
            alarms.on("fleet", "broker", f"shared backlog: {connection.description}; {effect}")
        elif connection.state == "up":
            alarms.off("fleet", "broker", f"shared backlog: {connection.description}")

        for name in self._names():
            queue, about = self.terms.queue_of(name), f"nobody {name}"
            depth = self.queue_monitor.depths.get(queue)
            if depth is None or not depth.batches or depth.consumers or self._is_parked(name):
                alarms.off("fleet", about, f"queue {queue} no longer waits for a courier")
            # Keep the text while the alarm lasts, or each new number would raise it again.
            elif ("fleet", about) not in alarms.active:
                text = (
                    f"queue {queue} holds {counted(depth.batches, 'batch')} and no courier consumes from it."
                    f" Add the intake {name} to the configuration of a courier."
                )
                alarms.on("fleet", about, text)

    def _taken(self, name: str) -> Courier | None:
        """Returns the courier of the batches taken over from an intake's queue."""
        return self._consumers[name][0] if name in self._consumers else None

    def _is_parked(self, name: str) -> bool:
        taken = self._taken(name)
        return taken is not None and taken.parked is not None

    def _publisher_session_opened(self) -> None:
        for publisher in self._publishers.values():
            publisher.session_opened()

    def _wake(self) -> None:
        for publisher in self._publishers.values():
            publisher.wake()

    # --- stop --------------------------------------------------------------------------------------------------------

    def stop_consuming(self) -> None:
        """Stops all consumers, and requeues the batches that are not in flight."""
        for _, consumer in self._consumers.values():
            consumer.stop()

    @property
    def is_publishing(self) -> bool:
        """True if a batch waits for its confirm or will be published in a moment."""
        return self.publisher_connection.state == "up" and any(
            publisher.in_flight or (self._own[name].can_hand_over and not publisher.stuck)
            for name, publisher in self._publishers.items() if name in self._own
        )  # fmt: skip

    def when_published(self) -> "defer.Deferred[None]":
        """Fires when no batch waits for its confirm or will be published in a moment, or when the broker is lost."""
        return self._published_waiters.wait()

    async def stop(self) -> None:
        """Closes the connections. Unconfirmed batches stay in the spool, unacknowledged ones in their queue."""
        if self._stopped:
            return
        self._stopped = True
        for publisher in self._publishers.values():
            publisher.stop()
        for courier, consumer in self._consumers.values():
            courier.stop()
            consumer.stop()
            consumer.close()
        await defer.gatherResults([
            defer.ensureDeferred(self.publisher_connection.stop()),
            defer.ensureDeferred(self.consumer_connection.stop()),
        ])  # fmt: skip

    # --- status ------------------------------------------------------------------------------------------------------

    def view(self, name: str) -> BacklogView:
        """Returns the combined state of an intake on this node."""
        return BacklogView(self._own[name], self._taken(name), self._publishers.get(name), alone=name in self.alone)

    def report(self) -> JSON:
        """Returns the state of the shared backlog for ``/api/status``."""
        terms, connection = self.terms, self._main_connection
        return {
            "role": terms.role,
            "node": terms.node,
            "state": connection.state,
            "broker": connection.description,
            "broker_up": connection.state == "up",
            "taking": self.consumer_connection.description if terms.consumes else None,
            "alone": sorted(self.alone),
            "couriers": self.queue_monitor.couriers,
            "exit": terms.egress_group,
            "held_bytes": self.consumer_memory.held,
            "held_limit_bytes": self.consumer_memory.limit,
            "queues": [self._report_queue(name) for name in self._names()],
        }

    def _report_queue(self, name: str) -> JSON:
        queue = self.terms.queue_of(name)
        depth = self.queue_monitor.depths.get(queue)
        publisher, (_, consumer) = self._publishers.get(name), self._consumers.get(name, (None, None))
        account = self._own_context.ledger.of(name)
        return {
            "intake": name,
            "queue": queue,
            "batches": depth.batches if depth else None,
            "couriers": depth.consumers if depth else None,
            "handed_over": account.handed_over,
            "taken_over": account.taken_over,
            "handing_over": publisher.in_flight if publisher else 0,
            "held": consumer.held if consumer else 0,
            "full": publisher is not None and publisher.full,
            "trouble": (publisher and publisher.last_error) or (consumer and consumer.last_error) or None,
        }
