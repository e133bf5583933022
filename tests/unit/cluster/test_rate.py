"""Tests that couriers of one exit share ``max_request_rate``."""

from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.config import parse_text
from bridge.deliver.couriers import CourierSet
from bridge.deliver.dispatcher import Dispatcher
from tests.harness.builders import build_delivery_context

CONFIGURATION = """
collector: {region: FRA1, max_request_rate: 12}
listeners: [{udp: "*:514"}]
intakes: {a: {intake_key: a-key-of-sixteen-letters}}
unrouted: {intake: a}
spool: {directory: spool}
"""


class BusySender:
    """Always has a request to start. Each request is answered at once."""

    def __init__(self, dispatcher):
        self.dispatcher = dispatcher
        self.started = 0

    def ready(self):
        return True

    def start(self):
        self.started += 1
        self.dispatcher._clock.callLater(0, self.dispatcher.end, self.dispatcher.begin(10.0))
        return True


def requests_in_ten_seconds(clock, sender):
    before = sender.started
    for _ in range(1000):
        clock.advance(0.01)
        sender.dispatcher.wake()
    return sender.started - before


def test_rate_is_divided_by_the_couriers_that_share_it():
    clock, config = Clock(), parse_text(CONFIGURATION, "bridge.yaml")
    dispatcher = Dispatcher(clock, connections=8, rate=config.collector.max_request_rate)
    context = build_delivery_context(clock, store=None, ledger=Ledger(), dispatcher=dispatcher, alarms=None)
    courier_set = CourierSet(config, clock, context=context)
    sender = BusySender(dispatcher)
    dispatcher.add(sender)
    assert requests_in_ten_seconds(clock, sender) in range(118, 126)
    courier_set.share_rate(3)
    assert requests_in_ten_seconds(clock, sender) in range(38, 46)
    courier_set.share_rate(1)
    assert requests_in_ten_seconds(clock, sender) in range(116, 126)
