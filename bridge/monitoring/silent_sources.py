"""Reports sources that have sent nothing for longer than ``alert_if_silent_for`` allows."""

from collections.abc import Callable
from datetime import timedelta

from bridge.config.units import as_written
from bridge.ingest.peers import Peers
from bridge.monitoring.alarms import Alarms

EVERY = 5.0
"Seconds between two checks."
MAX_DECISIONS = 1000
"Number of peers per check whose route is looked up after a reload if they have not sent since."


class SilentSources:
    """Raises an alarm for each silent source. ``wall`` returns seconds since the epoch.

    A source that has never sent counts as silent since the start of the process. If the clock was ahead and is set
    back, silence counts from then.
    """

    def __init__(self, alarms: Alarms, peers: Peers, wall: Callable[[], float]) -> None:
        self._alarms = alarms
        self._peers = peers
        self._wall = wall
        self._since_ms = int(wall() * 1000)
        self.silent: dict[str, int] = {}
        "Address or host name of each silent source -> time of its last message, in milliseconds since the epoch."
        self.names: dict[str, str] = {}
        "Address or host name of each silent source with a name in ``sources:`` -> that name."

    def look(self) -> None:
        """Raises and ends the alarms."""
        now = int(self._wall() * 1000)
        self._since_ms = min(self._since_ms, now)
        heard: dict[str, int] = {}
        expected: dict[str, tuple[timedelta, str | None]] = {
            str(address): (known.alert_if_silent_for, known.name)
            for address, known in self._peers.router.expected_sources().items() if known.alert_if_silent_for is not None
        }  # fmt: skip
        undecided = 0
        for peer in self._peers.all():
            if peer.last_seen_ms > now:
                peer.not_seen_after(now)
            if not peer.decided and undecided < MAX_DECISIONS and peer.alert_if_silent_for is not None:
                undecided += 1
                peer.decide()
            if peer.alert_if_silent_for is not None:
                expected.setdefault(peer.address, (peer.alert_if_silent_for, peer.name))
                heard[peer.address] = max(heard.get(peer.address, 0), peer.last_seen_ms)
        silent = {}
        for address, (expect, name) in expected.items():
            last = max(heard.get(address, 0), self._since_ms)
            if now - last > expect.total_seconds() * 1000:
                silent[address] = last
                about = _about(address, name)
                text = f"source {about} has been silent for longer than {as_written(expect)} (alert_if_silent_for)"
                remedy = f'check the device and the network to it; run "syslog-bridge why {address}"'
                self._alarms.on("silence", address, text, remedy=remedy)
        for address in self.silent:
            if address not in silent:
                name = expected[address][1] if address in expected else None
                how = "sends again" if address in expected else "is no longer expected to send"
                self._alarms.off("silence", address, f"source {_about(address, name)} {how}")
        self.silent = silent
        self.names = {address: name for address in silent if (name := expected[address][1])}

    def silent_now(self) -> dict[str, int]:
        """Returns address or host name of each silent source -> seconds since its last message or the process start."""
        now = int(self._wall() * 1000)
        return {address: (now - last) // 1000 for address, last in self.silent.items()}


def _about(address: str, name: str | None) -> str:
    return f"{name} ({address})" if name else address
