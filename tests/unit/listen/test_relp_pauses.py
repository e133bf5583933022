"""Tests that a RELP client is not read while many of its acknowledgements wait, and what resumes it."""

from __future__ import annotations

from bridge.listen.stream_turns import MAX_ALL_UNSENT, MAX_UNSENT
from tests.unit.listen.test_relp import fixture as fixture  # noqa: PLC0414
from tests.unit.listen.test_relp import syslog


def messages(first: int, size: int) -> bytes:
    """Returns messages with ``size`` bytes of answers, or a few more."""
    return b"".join(syslog(number) for number in range(first, first + size // len(b"1 rsp 6 200 OK\n") + 1))


def test_client_is_not_read_while_many_acknowledgements_wait_for_a_commit(fixture):
    unsent = fixture.factory.listener_context.turns.unsent
    connection = fixture.connect()
    connection.dataReceived(messages(1, MAX_UNSENT // 2))
    assert connection.transport.producerState == "producing"
    connection.dataReceived(messages(10_000, MAX_UNSENT // 2))
    assert connection.transport.producerState == "paused"
    assert unsent.size > MAX_UNSENT
    first, second = fixture.group_commit
    first(None)
    assert connection.transport.producerState == "paused"
    second(None)
    assert (connection.transport.producerState, unsent.size) == ("producing", 0)


def test_commit_does_not_resume_a_client_whose_events_are_held(fixture):
    connection = fixture.connect()
    connection.dataReceived(messages(1, MAX_UNSENT))
    fixture.disk_budget.full["a"] = "spool_full"
    connection.dataReceived(syslog(90_000))  # what was read before the pause
    fixture.group_commit[0](None)
    assert connection.transport.producerState == "paused", "its last message is held"
    fixture.disk_budget.full.clear()
    fixture.pipeline.spool_writer.resume()
    assert connection.transport.producerState == "producing"


def test_room_does_not_resume_a_client_whose_acknowledgements_wait(fixture):
    connection = fixture.connect()
    connection.dataReceived(messages(1, MAX_UNSENT))
    fixture.disk_budget.full["a"] = "spool_full"
    connection.dataReceived(syslog(90_000))
    fixture.disk_budget.full.clear()
    fixture.pipeline.spool_writer.resume()
    assert connection.transport.producerState == "paused", "the commit is still running"
    for commit in list(fixture.group_commit):
        commit(None)
    assert connection.transport.producerState == "producing"


def test_ended_client_is_not_counted_after_its_commit(fixture):
    unsent = fixture.factory.listener_context.turns.unsent
    connection = fixture.connect()
    connection.dataReceived(messages(1, MAX_UNSENT))
    connection.connectionLost()
    fixture.group_commit[0](None)
    assert unsent.size == 0
    assert not fixture.clock.getDelayedCalls()


def test_clients_with_acknowledgements_wait_while_too_many_wait_in_all(fixture):
    unsent = fixture.factory.listener_context.turns.unsent
    unsent.change(MAX_ALL_UNSENT)
    connection = fixture.connect()
    connection.dataReceived(syslog(1))
    assert connection.transport.producerState == "paused"
    fixture.group_commit[0](None)
    assert connection.transport.producerState == "producing"
