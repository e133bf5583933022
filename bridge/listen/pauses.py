"""Keeps the reasons why a connection is not read: it is read again when the last of them has ended."""

from enum import Enum


class Pause(Enum):
    """Lists the reasons."""

    HELD = "events that it sent wait for room in the spool"
    UNCOMMITTED = "its acknowledgements wait until the spool is synced to disk"
    UNSENT = "it does not read what the gateway answers"
    PROTOCOL = "the protocol on top of it wants no data"


class Pauses:
    """Holds the reasons of one connection."""

    def __init__(self) -> None:
        self._reasons: set[Pause] = set()

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def __contains__(self, reason: Pause) -> bool:
        return reason in self._reasons

    def begin(self, reason: Pause) -> bool:
        """Adds a reason. Returns True if it is the first one: the caller stops reading."""
        first = not self._reasons
        self._reasons.add(reason)
        return first

    def end(self, reason: Pause) -> bool:
        """Removes a reason. Returns True if it was the last one: the caller reads again."""
        if reason not in self._reasons:
            return False
        self._reasons.remove(reason)
        return not self._reasons
