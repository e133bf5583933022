"""Attacks of a collector, or of a proxy in front of it: each names an answer of `hostile_collector.py`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import ClassVar

from tests.harness.attacks.attack import Attack

HOSTILE = "127.0.3.1"
"""Events of this address go to the hostile collector, those of the next to the one behind a hostile proxy."""
PROXIED = "127.0.3.2"


class _Answering(Attack):
    """Makes the collector give an answer, and sends 100 events a second that it will get."""

    point = 4
    pause = 0.1
    answer: ClassVar[str]
    feeds: ClassVar[str] = HOSTILE

    def _step(self, stop: threading.Event) -> None:
        if self.steps == 1:
            (Path(self.target.answers) / self.answer).touch()
        with self._connect("tcp", self.feeds) as connection:
            connection.sendall(b"".join(b"<13>for a hostile collector %d %d\n" % (self.steps, n) for n in range(10)))

    def _end(self) -> None:
        super()._end()
        (Path(self.target.answers) / self.answer).unlink(missing_ok=True)


class Blanks(_Answering):
    """Sends one blank of an answer each second."""

    name = answer = "collector-blanks"


class SlowHeader(_Answering):
    """Sends one byte of the answer's header each second."""

    name = answer = "collector-slow-header"


class EndlessHeaders(_Answering):
    """Sends header lines without end."""

    name = answer = "collector-endless-headers"


class EndlessHeaderLine(_Answering):
    """Sends one header line without end."""

    name = answer = "collector-endless-header-line"


class EndlessBody(_Answering):
    """Sends a body without end."""

    name = answer = "collector-endless-body"


class Cookies(_Answering):
    """Sets other cookies in each answer."""

    name = answer = "collector-cookies"


class Inflating(_Answering):
    """Sends an answer that inflates to a gigabyte."""

    name = answer = "collector-inflating"


class RetryAfter(_Answering):
    """Sends `Retry-After` with years and numbers that no clock can represent."""

    name = answer = "collector-retry-after"


class ResetAnswers(_Answering):
    """Resets the connection before, within and after the answer."""

    name = answer = "collector-resets"


class Statuses(_Answering):
    """Answers 413, 429 and 500 in turn."""

    name = answer = "collector-statuses"


class InterimAnswers(_Answering):
    """Sends interim answers (1xx) without end."""

    name = answer = "collector-interim-answers"


class LongStrings(_Answering):
    """Sends an error with a text of megabytes."""

    name = answer = "collector-long-strings"


class NotHttp(_Answering):
    """Answers with random bytes."""

    name = answer = "collector-not-http"


class EndlessTunnelHeader(_Answering):
    """Answers CONNECT with header lines without end."""

    name = answer = "proxy-endless-header"
    feeds = PROXIED


class SlowTunnelHeader(_Answering):
    """Answers CONNECT with one byte each second."""

    name = answer = "proxy-slow-header"
    feeds = PROXIED


ATTACKS: tuple[type[Attack], ...] = (
    Blanks, SlowHeader, EndlessHeaders, EndlessHeaderLine, EndlessBody, Cookies, Inflating, RetryAfter, ResetAnswers,
    Statuses, InterimAnswers, LongStrings, NotHttp, EndlessTunnelHeader, SlowTunnelHeader,
)  # fmt: skip
