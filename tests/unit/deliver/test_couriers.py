"""Tests the couriers of a bridge: which there are, and who hears of their delivery paths."""

import pytest
from twisted.internet.task import Clock

from bridge.accounting import Ledger
from bridge.config import parse_text
from bridge.deliver.couriers import CourierSet
from bridge.deliver.dispatcher import Dispatcher
from tests.harness.builders import build_delivery_context

CONFIGURATION = """
collector: {region: FRA1}
listeners: [{udp: "*:514"}]
intakes:
  NAME: {intake_key: a-key-of-sixteen-letters}
unrouted: {intake: NAME}
spool: {directory: spool}
"""


def configuration(name, key="a-key-of-sixteen-letters"):
    text = CONFIGURATION.replace("NAME", name).replace("a-key-of-sixteen-letters", key)
    return parse_text(text, "bridge.yaml")


class Alarms:
    def on(self, kind, about, text):
        pass

    off = on


@pytest.fixture
def courier_set():
    clock = Clock()
    dispatcher = Dispatcher(clock, connections=8, rate=None)
    context = build_delivery_context(clock, store=None, ledger=Ledger(), dispatcher=dispatcher, alarms=Alarms())
    return CourierSet(configuration("a"), clock, context=context)


def apply(courier_set, config):
    courier_set.apply(config, courier_set.prepare(config))


def test_all_subscribers_hear_of_each_delivery_path(courier_set):
    heard = []
    courier_set.subscribe(lambda name, path, limits: heard.append((1, name, path and path.target.key())))
    courier_set.subscribe(lambda name, path, limits: heard.append((2, name, path and path.target.url)))
    apply(courier_set, configuration("a"))
    url = heard[1][2]
    assert heard == [(1, "a", "a-key-of-sixteen-letters"), (2, "a", url)]
    heard.clear()
    courier_set.set_key(configuration("a", "another-key-of-letters").intakes["a"])
    assert heard == [(1, "a", "another-key-of-letters"), (2, "a", url)]
    heard.clear()
    apply(courier_set, configuration("b"))
    assert [entry for entry in heard if entry[1] == "a"] == [(1, "a", None), (2, "a", None)]


def test_courier_of_a_removed_intake_retires_and_leaves_once_it_is_empty(courier_set):
    apply(courier_set, configuration("a"))
    apply(courier_set, configuration("b"))
    assert {name: courier.retired for name, courier in courier_set.couriers.items()} == {"a": True, "b": False}
    courier_set.tidy(writes=lambda name: True)
    assert sorted(courier_set.couriers) == ["a", "b"], "the spool has unsealed files of it"
    courier_set.tidy(writes=lambda name: False)
    assert sorted(courier_set.couriers) == ["b"]


def test_intake_without_configuration_has_a_retired_courier(courier_set):
    apply(courier_set, configuration("a"))
    courier = courier_set.get_or_add("gone")
    assert courier.retired
    assert not courier.ready()
    assert courier_set.get_or_add("gone") is courier
    apply(courier_set, configuration("gone"))
    assert not courier.retired
