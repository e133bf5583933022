"""Delivers events about the bridge itself to an intake: alarms (``admin.alerts_intake``), statistics and heartbeats."""

import json
import re
import socket
from collections.abc import Callable, Sequence

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.batching.encoding import LINES, escaped
from bridge.config import Config
from bridge.config.units import milliseconds
from bridge.spool import Spool

FORWARDER = "forwarder"
"Value of ``admin.alerts_format``: statistics as the vendor's forwarder writes them."

_ALARM = re.compile("alarm=([^ ]+) state=([^ ]+) ")


class SelfEvents:
    """Writes self events of one bridge to the spool. ``wall`` returns seconds since the epoch."""

    def __init__(self, config: Config, spool: Spool, ledger: Ledger, wall: Callable[[], float]) -> None:
        self.config = config
        self._spool = spool
        self._ledger = ledger
        self._wall = wall

    def change(self, config: Config) -> None:
        """Applies another configuration."""
        self.config = config

    @property
    def writes_statistics(self) -> bool:
        """True if the intake for self events expects the statistics of a forwarder."""
        admin = self.config.admin
        return admin.alerts_intake is not None and admin.alerts_format == FORWARDER

    def emit(self, text: str) -> None:
        """Writes an alarm to the spool. Does nothing if no intake is configured for self events."""
        intake = self.config.admin.alerts_intake
        if intake is not None:
            self.write(intake, [as_forwarder(text) if self.writes_statistics else as_text(text)])

    def write(self, intake: str, events: Sequence[str]) -> None:
        """Writes events of one line each to the spool."""
        now = int(self._wall() * 1000)
        lines = b"".join(escaped(event.encode()) + b"\n" for event in events)
        slot = now // milliseconds(self.config.batch.timestamp_resolution)
        for part in self._spool.parts(Group(intake, LINES, slot, now, now, len(events), lines)):
            try:
                self._spool.append(part)
            except OSError:
                # An alarm is in the log already, and a failed spool write has an alarm of its own.
                return
            self._ledger.receive_spooled(intake, part.count)


def as_text(text: str) -> str:
    """Returns an alarm as ``key=value`` pairs."""
    return f"syslog-bridge gateway={socket.gethostname()} {text}"


def as_forwarder(text: str) -> str:
    """Returns an alarm as a JSON object with the two names that the parser of forwarder events reads."""
    found = _ALARM.match(text)
    kind, state = found.groups() if found else ("other", "on")
    return json.dumps({"name": f"alarm-{kind}", "origin": "syslog-bridge", "state": state, "message": as_text(text)})
