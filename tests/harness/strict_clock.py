"""Provides a clock for tests that refuses, as a real reactor does, to call something in the past."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock


class StrictClock(Clock):
    def callLater(self, when: float, what: Callable[..., object], *args: object, **keywords: object) -> IDelayedCall:
        assert when >= 0, f"{when} s from now is in the past"
        return super().callLater(when, what, *args, **keywords)
