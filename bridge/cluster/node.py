"""One node of a fleet: its links, and for each intake who gives and who takes.

=========  ==================================  ==========================================
role       events that this node receives      batches in the queues
=========  ==================================  ==========================================
gateway    to the queues                       -
courier    it delivers them itself             it delivers them
both       to the queues                       it delivers them
=========  ==================================  ==========================================

A node with role both that can hand nothing over for ``alone_after``, as no broker answers or all of them hear no
publisher, delivers what it receives by itself until one does: the collector may well be reachable. A full queue is no
reason: then the couriers, this one among them, are behind.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from twisted.internet import defer
from twisted.logger import Logger

from bridge.cluster.backlog_view import BacklogView
from bridge.cluster.broker import Connect, QueueTerms
from bridge.cluster.broker_connection import BrokerConnection
from bridge.cluster.consumer import Consumer, ConsumerContext, ConsumerMemory
from bridge.cluster.publisher import Outbox, Publisher, PublisherContext
from bridge.cluster.queue_monitor import QueueMonitor
from bridge.deliver.context import (
    DeliveryContext,
    DeliveryPath,
    OutcomeStore,
    RequestLimits,
)
from bridge.deliver.courier import Courier

JSON = dict[str, object]

EVERY = 0.25
"Seconds between two looks."

log = Logger(namespace="fleet")


@dataclass(frozen=True, slots=True)
class ClusterTerms:
    """What a node's configuration says of the share."""

    urls: tuple[str, ...]
    prefix: str
    role: str
    exit: str
    "Couriers of one share the request rate."
    max_bytes: int
    prefetch: int
    "Bytes of batches taken over that are held at a time."
    alone_after: float | None
    "Seconds; None: never."

    @property
    def gives(self) -> bool:
        """Whether what is received here goes to the queues."""
        return self.role != "courier"

    @property
    def takes(self) -> bool:
        """Whether batches of the queues are delivered from here."""
        return self.role != "gateway"

    def queue_of(self, intake: str) -> str:
        """The queue of an intake."""
        return f"{self.prefix}.{intake}"

    @property
    def presence(self) -> str:
        """The queue by which couriers are counted."""
        return f"{self.prefix}:couriers:{self.exit}"


class ClusterNode:
    """``own`` are the couriers of this node's spool, by intake; ``context`` is theirs. ``shared`` stores what was taken
    over, and ``aside`` puts a message that is not ours in quarantine. ``counted`` is told among how many couriers the
    request rate is shared."""

    def __init__(
        self,
        terms: ClusterTerms,
        *,
        node: str,
        connect: Connect,
        own: dict[str, Courier],
        context: DeliveryContext,
        shared: OutcomeStore,
        aside: Callable[[str, str, bytes, int], "defer.Deferred[object]"],
        counted: Callable[[int], None],
    ) -> None:
        self.terms = terms
        self.node = node
        self.alone: set[str] = set()
        "Intakes whose events this node delivers by itself, as no broker takes them."
        self._own = own
        self._clock = context.clock
        self._alarms = context.alarms
        self._dispatcher = context.dispatcher
        queues = QueueTerms(terms.max_bytes)
        self.giving = BrokerConnection("handing over", terms.urls, connect=connect, clock=context.clock)
        self.taking = BrokerConnection("taking over", terms.urls, connect=connect, clock=context.clock)
        self.consumer_memory = ConsumerMemory(terms.prefetch)
        exact: set[int] = set()
        borrowing = context.ledger.borrowing()
        self._listener_context = PublisherContext(
            node=node,
            clock=context.clock,
            link=self.giving,
            terms=queues,
            queue_of=terms.queue_of,
            store=context.store,
            ledger=context.ledger,
            alarms=context.alarms,
            in_thread=context.in_thread,
            outbox=Outbox(),
            before_sending=context.before_sending,
            exact=context.exact,
        )
        self._table = ConsumerContext(
            clock=context.clock,
            wall=context.wall,
            link=self.taking,
            terms=queues,
            queue_of=terms.queue_of,
            consumer_memory=self.consumer_memory,
            ledger=borrowing,
            store=shared,
            alarms=context.alarms,
            aside=aside,
            exact=exact,
        )
        # What was taken over has no file that is to be on disk before it is sent.
        self._context = replace(
            context,
            store=shared,
            ledger=borrowing,
            before_sending=lambda batches: None,
            exact=lambda sequence: sequence in exact,
        )
        self.queue_monitor = QueueMonitor(
            self.taking, clock=context.clock, presence=terms.presence, takes=terms.takes,
            queues=lambda: [terms.queue_of(name) for name in sorted({*self._publishers, *self._consumers})],
            counted=counted,
        )  # fmt: skip
        self._publishers: dict[str, Publisher] = {}
        self._consumers: dict[str, tuple[Courier, Consumer]] = {}
        self._told: set[tuple[str, str]] = set()
        self._stopped = False
        self.giving.on_up.append(self._giving_came_up)
        self.taking.on_up.append(self.queue_monitor.came_up)
        self.giving.on_change.append(self._wake)

    # --- its life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect."""
        if self.terms.gives:
            self.giving.start()
        self.taking.start()

    def follow(self, name: str, delivery_path: DeliveryPath | None, turn: RequestLimits) -> None:
        """An intake is, or is no longer (no way), in the configuration; told before anything of it is sent."""
        own = self._own[name]
        if self.terms.gives and name not in self._publishers:
            self._publishers[name] = Publisher(own, self._listener_context)
            own.stand_aside(self._publishers[name])
        if not self.terms.takes:
            return
        found = self._consumers.get(name)
        if delivery_path is None:
            if found is not None:
                found[0].retire()
        elif found is not None:
            found[0].change(delivery_path, turn)
        else:
            courier = Courier(
                name,
                delivery_path.target,
                turn,
                context=self._context,
                poster=delivery_path.poster,
                base_urls=delivery_path.base_urls,
            )
            self._consumers[name] = courier, Consumer(courier, self._table)
            self._dispatcher.add(courier)
        self.consumer_memory.consumers = sum(not courier.retired for courier, _ in self._consumers.values())

    def look(self) -> None:
        """Called every ``EVERY`` seconds."""
        self.queue_monitor.look()
        for name, publisher in list(self._publishers.items()):
            if name not in self._own:
                publisher.stop()
                del self._publishers[name]
                self.alone.discard(name)
                continue
            publisher.look()
            self._go_alone(name, publisher)
        for name, (courier, consumer) in list(self._consumers.items()):
            consumer.look()
            if courier.retired and not consumer.here and courier.at_rest:
                consumer.close()
                courier.leave()
                self._dispatcher.remove(courier)
                del self._consumers[name]
        self._say()

    def _go_alone(self, name: str, publisher: Publisher) -> None:
        after = self.terms.alone_after
        alone = self.terms.takes and after is not None and publisher.away_for > after
        if alone != (name in self.alone):
            (self.alone.add if alone else self.alone.discard)(name)
            self._own[name].stand_aside(None if alone else publisher)

    def _say(self) -> None:
        link, alarms = self.giving if self.terms.gives else self.taking, self._alarms
        if link.away_for > EVERY * 8:
            does = "this node delivers by itself" if self.alone else "its batches wait in its spool"
            if not self.terms.gives:
                does = "this node takes nothing over"
            alarms.on("fleet", "broker", f"shared backlog: {link.words}; {does}")
        elif link.state == "up":
            alarms.off("fleet", "broker", f"shared backlog: {link.words}")

        for name in sorted({*self._publishers, *self._consumers}):
            depth = self.queue_monitor.depths.get(self.terms.queue_of(name))
            if depth is not None and depth.batches and not depth.consumers and not self._is_parked(name):
                text = f"queue {self.terms.queue_of(name)} holds {depth.batches} batches, and no courier takes them"
                # The words stay while it lasts, or each figure would say it anew.
                if ("nobody", name) not in self._told:
                    self._told.add(("nobody", name))
                    alarms.on("fleet", f"nobody {name}", text)
            elif ("nobody", name) in self._told:
                self._told.discard(("nobody", name))
                text = f"queue {self.terms.queue_of(name)} is taken from"
                alarms.off("fleet", f"nobody {name}", text)

    def _is_parked(self, name: str) -> bool:
        found = self._consumers.get(name)
        return found is not None and found[0].parked is not None

    def _giving_came_up(self) -> None:
        for publisher in self._publishers.values():
            publisher.came_up()

    def _wake(self) -> None:
        for publisher in self._publishers.values():
            publisher.wake()

    # --- the end -----------------------------------------------------------------------------------------------------

    def stop_taking(self) -> None:
        """Give back what is not in flight, take no more."""
        for _, consumer in self._consumers.values():
            consumer.stop()

    @property
    def gives(self) -> bool:
        """Whether something is on its way to the queues, or will be in a moment."""
        return self.giving.state == "up" and any(
            publisher.in_flight or (self._own[name].lends and not publisher.stuck)
            for name, publisher in self._publishers.items() if name in self._own
        )  # fmt: skip

    async def stop(self) -> None:
        """End in order: what is not confirmed stays in the spool, what is not acknowledged in its queue."""
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
            defer.ensureDeferred(self.giving.stop()), defer.ensureDeferred(self.taking.stop()),
        ])  # fmt: skip

    # --- what it says ------------------------------------------------------------------------------------------------

    def view(self, name: str) -> BacklogView:
        """One intake, all its parts here together."""
        taken = self._consumers.get(name)
        return BacklogView(
            self._own[name], taken[0] if taken else None, self._publishers.get(name), alone=name in self.alone
        )  # fmt: skip

    def report(self) -> JSON:
        """For ``/api/status``."""
        terms = self.terms
        link = self.giving if terms.gives else self.taking
        queues: list[JSON] = []
        for name in sorted({*self._publishers, *self._consumers}):
            queue = terms.queue_of(name)
            depth = self.queue_monitor.depths.get(queue)
            publisher, taken = self._publishers.get(name), self._consumers.get(name)
            account = self._listener_context.ledger.of(name)
            queues.append(
                {
                    "intake": name,
                    "queue": queue,
                    "batches": None if depth is None else depth.batches,
                    "couriers": None if depth is None else depth.consumers,
                    "handed_over": account.handed_over,
                    "taken_over": account.taken_over,
                    "handing_over": 0 if publisher is None else publisher.in_flight,
                    "held": 0 if taken is None else taken[1].here,
                    "full": publisher is not None and publisher.full,
                    "trouble": (publisher and publisher.trouble) or (taken and taken[1].trouble) or None,
                }
            )
        return {
            "role": terms.role,
            "node": self.node,
            "state": link.state,
            "broker": link.words,
            "broker_up": link.state == "up",
            "taking": self.taking.words if terms.takes else None,
            "alone": sorted(self.alone),
            "couriers": self.queue_monitor.couriers,
            "exit": terms.exit,
            "held_bytes": self.consumer_memory.held,
            "held_limit_bytes": self.consumer_memory.bound,
            "queues": queues,
        }
