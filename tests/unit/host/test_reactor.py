"""The end of a turn: what is readable has been read, and no timer has run."""

import os

import pytest
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import globalLogPublisher

from bridge.host.reactor import SteadyReactor


class Pipe:
    """A readable end; says in ``said`` when it is read."""

    def __init__(self, reactor, said, name, then=None):
        self.end, self._write = os.pipe()
        self._reactor, self._said, self._name, self._then = reactor, said, name, then
        os.write(self._write, b"x")
        reactor.addReader(self)

    def fileno(self):
        return self.end

    def logPrefix(self):
        return self._name

    def doRead(self):
        os.read(self.end, 10)
        self._said.append(self._name)
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


def test_the_end_of_a_turn_comes_once_after_all_reads(reactor):
    said = []
    pipes = [Pipe(reactor, said, "one", lambda: said.append("end")), Pipe(reactor, said, "two")]
    reactor.callLater(0, said.append, "timer")
    reactor.doPoll(0)
    assert said in (["one", "two", "end"], ["two", "one", "end"])
    reactor.runUntilCurrent()
    reactor.doPoll(0)
    assert said[3:] == ["timer"]
    for pipe in pipes:
        pipe.close()


def test_a_defect_at_the_end_of_a_turn_does_not_stop_it(reactor):
    logged = []
    globalLogPublisher.addObserver(logged.append)
    said = []
    pipe = Pipe(reactor, said, "one", lambda: 1 / 0)
    reactor.after_turn(lambda: said.append("end"))
    try:
        reactor.doPoll(0)
    finally:
        globalLogPublisher.removeObserver(logged.append)
        pipe.close()
    assert said == ["one", "end"]
    assert any("end of a turn" in event.get("log_format", "") for event in logged)
