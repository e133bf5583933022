"""Delivers the bridge's own alarms as events of an intake (``admin.self_events``)."""

import socket
from collections.abc import Callable

from bridge.accounting import Ledger
from bridge.batching import Group
from bridge.batching.encoding import LINES, escaped
from bridge.config import Config
from bridge.config.units import milliseconds
from bridge.spool import Spool


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

    def emit(self, text: str) -> None:
        """Writes one event to the spool. Does nothing if no intake is configured for self events."""
        intake = self.config.admin.self_events
        if intake is None:
            return
        now = int(self._wall() * 1000)
        line = escaped(f"syslog-bridge gateway={socket.gethostname()} {text}".encode()) + b"\n"
        slot = now // milliseconds(self.config.batch.timestamp_resolution)
        try:
            self._spool.append(Group(intake, LINES, slot, now, now, 1, line))
        except OSError:
            # The alarm is in the log already, and a failed spool write has an alarm of its own.
            return
        self._ledger.receive_spooled(intake, 1)
