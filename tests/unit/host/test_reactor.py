"""Tests that callbacks at the end of a reactor turn run after all reads and before any timer."""

import os

import pytest
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import globalLogPublisher

from bridge.host.reactor import SteadyReactor


class Pipe:
    """The readable end of a pipe. Appends its name to ``calls`` when it is read."""

    def __init__(self, reactor, calls, name, then=None):
        self.end, self._write = os.pipe()
        self._reactor, self._calls, self._name, self._then = reactor, calls, name, then
        os.write(self._write, b"x")
        reactor.addReader(self)

    def fileno(self):
        return self.end

    def logPrefix(self):
        return self._name

    def doRead(self):
        os.read(self.end, 10)
        self._calls.append(self._name)
        if self._then:
            self._reactor.after_turn(self._then)

    def connectionLost(self, reason):
        assert reason.value is CONNECTION_DONE

    def close(self):
        self._reactor.removeReader(self)
        os.close(self.end)
        os.close(self._write)


@pytest.fixture
def reactor():
    made = SteadyReactor()
    yield made
    made.removeAll()
    made._poller.close()


def test_callback_runs_once_after_all_reads(reactor):
    calls = []
    pipes = [Pipe(reactor, calls, "one", lambda: calls.append("end")), Pipe(reactor, calls, "two")]
    reactor.callLater(0, calls.append, "timer")
    reactor.doPoll(0)
    assert calls in (["one", "two", "end"], ["two", "one", "end"])
    reactor.runUntilCurrent()
    reactor.doPoll(0)
    assert calls[3:] == ["timer"]
    for pipe in pipes:
        pipe.close()


def test_exception_in_a_callback_does_not_stop_the_others(reactor):
    logged = []
    globalLogPublisher.addObserver(logged.append)
    calls = []
    pipe = Pipe(reactor, calls, "one", lambda: 1 / 0)
    reactor.after_turn(lambda: calls.append("end"))
    try:
        reactor.doPoll(0)
    finally:
        globalLogPublisher.removeObserver(logged.append)
        pipe.close()
    assert calls == ["one", "end"]
    assert any("end of a reactor turn" in event.get("log_format", "") for event in logged)


def test_longest_turn_is_measured_once_and_without_waiting(reactor):
    clock = [100.0]
    reactor.seconds = lambda: clock[0]
    pipes = [Pipe(reactor, [], "one", lambda: clock.__setitem__(0, clock[0] + 3.5))]
    reactor.doPoll(0)  # ends the turn that began when the reactor was made
    reactor.longest_turn()
    os.write(pipes[0]._write, b"x")
    reactor.doPoll(0)
    assert reactor.longest_turn() == 3.5, "the current turn so far"
    clock[0] += 0.5
    reactor.doPoll(0)
    assert reactor.longest_turn() == 4.0, "the whole turn"
    clock[0] += 0.25
    assert reactor.longest_turn() == 0.25
    pipes[0].close()
