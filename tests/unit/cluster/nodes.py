"""Builds cluster nodes with a real spool and real couriers, and with broker, collector and clock in memory."""

from collections import Counter

from twisted.internet.defer import Deferred, maybeDeferred

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.cluster.consumer import acknowledge_all
from bridge.cluster.node import ClusterNode
from bridge.cluster.terms import ClusterTerms, node_name
from bridge.deliver.context import DeliveryPath, RequestLimits
from bridge.deliver.courier import Courier
from bridge.deliver.dispatcher import Dispatcher
from bridge.deliver.exchange import Response
from bridge.deliver.request import RequestTarget
from bridge.monitoring.alarms import Alarms
from tests.harness.builders import build_base_urls, build_delivery_context, build_delivery_store, build_spool

NOON = 1_795_435_200
LIMITS = RequestLimits(in_flight=4, max_events=100, max_bytes=10_000, resolution_ms=1000, catch_up_ms=60_000)


class Node:
    """A gateway with one intake, `a`. If ``role`` is None, it has no shared backlog."""

    def __init__(self, directory, clock, *, broker=None, role=None, rate=None, **terms):
        self.clock = clock
        self.ledger = Ledger()
        self.receipts, self.refused, self.posted = [], [], []
        self.alarm_sink = Alarms(clock=clock.seconds)
        self.sessions, self.courier_count = [], 1
        self.spool = build_spool(directory, recover=False, wall=self.wall, clock=clock.seconds, work=self.work)
        found = self.spool.recover()
        self.dispatcher = Dispatcher(clock, connections=8, rate=rate)
        self.base_urls = build_base_urls(clock, self.dispatcher)
        self.context = build_delivery_context(
            clock, wall=self.wall, store=self._delivery_store(None), ledger=self.ledger, dispatcher=self.dispatcher,
            alarms=self.alarm_sink,
        )  # fmt: skip
        self.delivery_path = DeliveryPath(
            RequestTarget("http://collector.test/plain/batch", dict, False), self.post, self.base_urls
        )
        self.own = Courier("a", self.delivery_path, LIMITS, context=self.context)
        self.dispatcher.add(self.own)
        self.cluster_node = None
        if role is not None:
            defaults = {"max_bytes": 10**6, "prefetch": 10**6, "fallback_after": 10.0}
            self.cluster_node = ClusterNode(
                ClusterTerms(
                    ("amqp://broker.test",), "q", role, "default", **defaults | terms, node=node_name(directory)
                ),
                connect=lambda url: self._connect(broker, url), own={"a": self.own},
                context=self.context, shared=self._delivery_store(acknowledge_all),
                on_courier_count=self._set_courier_count,
                quarantine=lambda *message: maybeDeferred(self.spool.quarantine.save_damaged, *message),
            )  # fmt: skip
            self.cluster_node.configure_intake("a", self.delivery_path, LIMITS)
        self.ledger.recover_quarantined(None, self.spool.quarantine.counts.total())
        for intake, events in found.sending.items():
            self.ledger.add_possible_duplicates(intake, events)
        for batch in found.batches:
            self.ledger.recover_spooled("a", batch.count)
            self.own.add(batch)
        self.on_sealed = self.own.add
        self.spool.subscribe(self._sealed)
        if self.cluster_node is not None:
            self.cluster_node.start()

    @property
    def alarms(self):
        return self.alarm_sink.active

    def _sealed(self, batch):
        # A test may have replaced the callback.
        self.on_sealed(batch)

    def _delivery_store(self, remove):
        return build_delivery_store(
            self.spool, self.ledger, work=self.work, receipt=self.receipts.append,
            refused=lambda *line: self.refused.append(line), remove=remove,
        )  # fmt: skip

    def _connect(self, broker, url):
        opened = broker.connect(url)
        opened.addCallback(lambda session: self.sessions.append(session) or session)
        return opened

    def _set_courier_count(self, courier_count):
        self.courier_count = courier_count

    # Interfaces that the node needs.
    def wall(self):
        return NOON + self.clock.seconds()

    def work(self, job, done):
        done(job())

    def post(self, url, body, headers):
        answer = Deferred()
        self.posted.append((body, headers, answer))
        return answer

    # Actions of a test.
    def receive(self, *events, ms=0, encoding="lines", timed=False):
        """Appends events to the spool and seals them."""
        at = NOON * 1000 + ms
        data = b"".join((b"%d\t" % (at + 1000 * i) if timed else b"") + each + b"\n" for i, each in enumerate(events))
        latest = at + 1000 * (len(events) - 1) if timed else at
        self.spool.append(Group("a", encoding, at // 1000, at, latest, len(events), data, timed))
        self.ledger.receive_spooled("a", len(events))
        self.spool.seal_all()
        self.clock.advance(0)

    def accept(self, at=0):
        body, _, answer = self.posted.pop(at)
        ids = ",".join(f'"{i}"' for i in range(body.count(b"\n") + 1))
        answer.callback(Response(200, f'{{"event_ids":[{ids}]}}'.encode()))

    def answer(self, status, at=0, text=b"no"):
        self.posted.pop(at)[2].callback(Response(status, text))

    def die(self):
        """Ends like a killed process: nothing more is sent, and the broker sees the connections end."""
        self.dispatcher.stop()
        for session in list(self.sessions):
            session.end("killed")
        self.cluster_node = None
        self.spool.close()

    def check(self):
        """Asserts that the ledger balances, and that its spooled events are those that the couriers hold."""
        assert self.ledger.imbalance == 0
        waiting = self.own.waiting_events + self.spool.open_amount("a")[0]
        if self.cluster_node is not None:
            waiting = self.cluster_node.view("a").waiting_events + self.spool.open_amount("a")[0]
        assert self.ledger.of("a").spooled == waiting

    @property
    def account(self):
        return self.ledger.of("a")


def pass_time(clock, *nodes, seconds=1.0):
    """Advances the clock in the steps of the periodic task, and checks all nodes after each."""
    for _ in range(round(seconds / 0.25)):
        clock.advance(0.25)
        for node in nodes:
            if node.cluster_node is not None:
                node.cluster_node.look()
            node.check()


def drain(clock, *nodes, most=400):
    """Accepts all requests until no node has held an event for three seconds. Returns how often each event arrived."""
    arrived, quiet_steps = Counter(), 0
    for _ in range(most):
        for node in nodes:
            while node.posted:
                arrived.update(node.posted[0][0].split(b"\n"))
                node.accept()
                node.check()
        quiet_steps = quiet_steps + 1 if all(node.ledger.total().spooled == 0 for node in nodes) else 0
        if quiet_steps > 12:
            return arrived
        pass_time(clock, *nodes, seconds=0.25)
    raise AssertionError([node.ledger.columns() for node in nodes])
