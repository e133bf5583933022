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
