"""Sends a long answer piece by piece, as its client reads it, so that unread answers are not held in memory."""
# mypy: disallow-untyped-calls=False
# (twisted.web has few annotations)

from collections.abc import Callable, Iterator

from twisted.internet.interfaces import IPushProducer
from twisted.web.server import Request
from zope.interface import implementer


@implementer(IPushProducer)
class AnswerWriter:
    """Writes the body of one answer whose head is written, then finishes the request."""

    def __init__(self, request: Request, pieces: Iterator[bytes], done: Callable[[], object]) -> None:
        """``done`` is called once, when the answer is written or its client is gone."""
        self._request = request
        self._pieces = pieces
        self._done = done
        self._paused = False
        self._ended = False

    def start(self) -> None:
        """Writes until the client has to read first. It may have to read earlier answers before this one begins."""
        self._request.notifyFinish().addBoth(lambda result: self._end())
        # Twisted pauses a producer once, so one that is registered later has to wait by itself.
        self._paused = waits_for_client(self._request)
        self._request.registerProducer(self, True)
        if not self._paused:
            self.resumeProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        while not (self._paused or self._ended):
            piece = next(self._pieces, None)
            if piece is None:
                self._request.unregisterProducer()
                self._request.finish()
                return
            self._request.write(piece)

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._paused = True

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._done()


def waits_for_client(request: Request) -> bool:
    """Returns True if earlier answers on the connection fill its buffer, so that the client has to read first."""
    return bool(getattr(request.channel, "_waitingForTransport", False))
