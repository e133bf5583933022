"""Tests RELP acknowledgements: they are sent only after messages are on disk, and not if that fails."""

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from bridge.config import Listener
from bridge.listen import tcp_connection
from bridge.listen.listener import ListenerContext
from bridge.listen.relp import RelpConnection
from bridge.listen.tcp_connection import SyslogFactory
from tests.unit.ingest.test_backpressure import BackpressureFixture


class RelpFixture(BackpressureFixture):
    """A RELP listener whose group commits the test completes."""

    def __init__(self, directory):
        super().__init__(directory)
        self.group_commit = []
        self.files = []
        "Intakes of the files of each commit."
        listener = Listener.model_construct(name="tcp", max_connections=10, max_connections_per_peer=10)
        listener_context = ListenerContext(self.clock, self.pipeline, self.peers.get, 1000, self._commit)
        self.factory = SyslogFactory(listener, listener_context, RelpConnection)

    def _commit(self, files, done):
        self.group_commit.append(done)
        self.files.append([batch.intake for batch in files])

    def connect(self):
        connection = self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 4000))
        connection.makeConnection(StringTransport())
        return connection


@pytest.fixture
def fixture(tmp_path):
    return RelpFixture(tmp_path / "spool")


def syslog(number, text=b"x", host=b"a"):
    frame = b"<13>Nov 24 00:00:00 %b t: %b" % (host, text)
    return b"%d syslog %d %b\n" % (number, len(frame), frame)


def test_acknowledgements_follow_the_commit_in_order(fixture):
    connection = fixture.connect()
    connection.dataReceived(syslog(1) + syslog(2))
    connection.dataReceived(syslog(3))
    assert (connection.transport.value(), len(fixture.group_commit)) == (b"", 2)
    fixture.group_commit[0](None)
    assert connection.transport.value() == b"1 rsp 6 200 OK\n2 rsp 6 200 OK\n"
    fixture.group_commit[1](None)
    assert connection.transport.value().endswith(b"\n3 rsp 6 200 OK\n")
    assert fixture.ledger_columns() == {"received": 3, "spooled": 3}


def test_failed_sync_acknowledges_nothing(fixture):
    connection = fixture.connect()
    connection.dataReceived(syslog(1))
    fixture.group_commit[0](OSError(5, "Input/output error"))
    assert connection.transport.value() == b""
    assert connection.transport.disconnected
    assert fixture.factory.connections.rejections.counts == {"not_kept": 1}


@pytest.mark.parametrize("pauses", [True, False])
def test_full_intake_delays_acknowledgements_with_any_when_full(fixture, pauses):
    fixture.disk_budget.pauses, fixture.disk_budget.full["a"] = pauses, "spool_full"
    connection = fixture.connect()
    connection.dataReceived(syslog(1) + syslog(2, host=b"b"))
    assert connection.transport.producerState == "paused"
    assert fixture.files == [["b"]], "the file may be closed before the rest has room"
    fixture.group_commit.pop()(None)
    assert connection.transport.value() == b""
    assert fixture.ledger_columns() == {"received": 2, "buffered": 1, "spooled": 1}
    fixture.disk_budget.full.clear()
    fixture.pipeline.spool_writer.resume()
    assert fixture.ledger_columns() == {"received": 2, "spooled": 2}
    assert connection.transport.value() == b""
    assert fixture.files[1:] == [["a"], ["b", "a"]]
    fixture.group_commit.pop()(None)
    assert connection.transport.value() == b"1 rsp 6 200 OK\n2 rsp 6 200 OK\n"
    assert connection.transport.producerState == "producing"


def test_held_events_that_cannot_be_stored_at_shutdown_are_not_acknowledged(fixture):
    fixture.disk_budget.full["a"] = "spool_full"
    connection = fixture.connect()
    connection.dataReceived(syslog(1))
    fixture.disk_budget.full.clear()

    def fail_write(group):
        raise OSError(5, "Input/output error")

    fixture.spool.append = fail_write
    fixture.pipeline.spool_writer.finish()
    assert (connection.transport.value(), connection.transport.disconnected) == (b"", True)
    assert fixture.files == []
    assert sum(fixture.ledger_columns()["dropped"].values()) == 1


def test_message_is_not_acknowledged_while_its_held_write_fails(fixture):
    fixture.disk_budget.full["a"] = "disk_full"
    connection = fixture.connect()
    connection.dataReceived(syslog(1))
    fixture.disk_budget.full.clear()
    append = fixture.spool.append
    fixture.spool.append = lambda part: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    fixture.pipeline.spool_writer.resume()
    assert (connection.transport.value(), fixture.group_commit) == (b"", [])
    assert fixture.ledger_columns() == {"received": 1, "buffered": 1}
    fixture.spool.append = append
    fixture.pipeline.spool_writer.resume()
    fixture.group_commit.pop()(None)
    assert connection.transport.value() == b"1 rsp 6 200 OK\n"


def test_messages_wait_while_files_cannot_be_synced(fixture):
    fixture.disk_budget.unsynced = True
    connection = fixture.connect()
    connection.dataReceived(syslog(1))
    fixture.pipeline.spool_writer.resume()
    assert fixture.ledger_columns() == {"received": 1, "buffered": 1}
    assert (connection.transport.producerState, fixture.group_commit) == ("paused", [])
    fixture.disk_budget.unsynced = False
    fixture.pipeline.spool_writer.resume()
    fixture.group_commit.pop()(None)
    assert connection.transport.value() == b"1 rsp 6 200 OK\n"


def test_failed_write_closes_the_connection_without_acknowledgement(fixture):
    fixture.disk_budget.failed = lambda intake, error: "spool_write_failed"
    broken = fixture.spool.append
    fixture.spool.append = lambda part: (_ for _ in ()).throw(OSError(13, "Permission denied"))
    connection = fixture.connect()
    connection.dataReceived(syslog(1))
    assert (connection.transport.value(), connection.transport.disconnected, fixture.group_commit) == (b"", True, [])
    assert fixture.ledger_columns() == {"received": 1, "dropped": {"spool_write_failed": 1}}
    fixture.spool.append = broken


def test_serverclose_follows_the_running_commit(fixture):
    connection = fixture.connect()
    connection.dataReceived(syslog(1))
    connection.end()
    assert not connection.transport.disconnecting
    for commit in list(fixture.group_commit):
        commit(None)
    assert connection.transport.value() == b"1 rsp 6 200 OK\n0 serverclose 0\n"
    assert connection.transport.disconnecting


def test_open_without_syslog_and_close(fixture):
    connection = fixture.connect()
    connection.dataReceived(b"1 open 13 commands=none\n2 close 0\n")
    assert fixture.group_commit == [], "there is nothing to sync"
    assert connection.transport.value().startswith(b"1 rsp ")
    assert b"500 this server takes the command syslog only" in connection.transport.value()
    assert connection.transport.value().endswith(b"\n2 rsp 0\n0 serverclose 0\n")
    assert connection.transport.disconnecting


def test_close_is_answered_after_the_messages_before_it(fixture):
    connection = fixture.connect()
    connection.dataReceived(syslog(1))
    connection.dataReceived(b"2 close 0\n")
    assert connection.transport.value() == b""
    for commit in list(fixture.group_commit):
        commit(None)
    assert connection.transport.value() == b"1 rsp 6 200 OK\n2 rsp 0\n0 serverclose 0\n"


@pytest.mark.parametrize("left", [None, 0])
def test_paused_connection_is_ended_once_its_sender_has_closed_it(fixture, monkeypatch, left):
    """Its slot is free for the sender's next connection, over which it repeats its messages."""
    monkeypatch.setattr(tcp_connection, "bytes_left", lambda transport: left)
    fixture.disk_budget.full["a"] = "spool_full"
    connection = fixture.connect()
    connection.dataReceived(syslog(1))
    fixture.factory.check_idle()
    assert connection.transport.disconnected is (left is not None)
    assert connection.transport.value() == b""
