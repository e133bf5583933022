"""Checks counters every few seconds and raises alarms for event loss, wrong clocks and a ledger imbalance.

An alarm ends within one minute after the last loss.
"""

from collections.abc import Callable, Mapping

from bridge.accounting import Ledger
from bridge.ingest.peers import Peer, Peers
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.sources import diagnosis

EVERY = 5.0
"Seconds between two checks."
ENDS_AFTER = 50.0
"Seconds without further loss after which an alarm ends. With the time between two checks, less than a minute."
MAX_FIGURES = 100_000
"Number of remembered counter values above which the values of forgotten sources are removed."


class LossMonitor:
    """Raises an alarm while a loss counter increases."""

    def __init__(
        self, alarms: Alarms, *, ledger: Ledger, peers: Peers, kernel_drops: Callable[[], Mapping[str, int]]
    ) -> None:
        self._alarms = alarms
        self._ledger = ledger
        self._peers = peers
        self._kernel_drops = kernel_drops
        self._figures: dict[tuple[str, str], int] = {}

    def look(self) -> None:
        """Compares the counters with their values at the last check."""
        for listener, drops in self._kernel_drops().items():
            self._watch(
                "loss", f"listener {listener}", drops,
                f"listener {listener}: the kernel drops datagrams because the receive buffer is full. Raise"
                f" net.core.rmem_max and receive_buffer",
            )  # fmt: skip
        for reason, count in self._ledger.total().dropped.items():
            self._watch("loss", reason, count, f"events are dropped: {reason.replace('_', ' ')}")
        for peer in self._peers.all():
            if peer.outside:
                self._watch("clock", peer.address, peer.outside, _clock_text(peer))
            if peer.gaps is not None:
                about = f"source {peer.address}"
                text = f"{about}: its message numbers have gaps. Messages are lost before they reach the bridge"
                self._watch("loss", about, peer.gaps.missing, text)
        if self._ledger.imbalance:
            self._alarms.on("defect", "ledger", "the ledger does not balance. Please report this as a defect")
        else:
            self._alarms.off("defect", "ledger", "the ledger balances again")
        if len(self._figures) > MAX_FIGURES:
            known = {peer.address for peer in self._peers.all()}
            self._figures = {
                (kind, about): figure for (kind, about), figure in self._figures.items()
                if kind != "clock" or about in known
            }  # fmt: skip

    def _watch(self, kind: str, about: str, figure: int, text: str) -> None:
        key = (kind, about)
        if figure > self._figures.get(key, 0):
            # The text of an active alarm stays: a new figure in it would report the alarm again at each check.
            active = self._alarms.current.get(key)
            self._alarms.on(kind, about, active.text if active else text, lasts=ENDS_AFTER)
        self._figures[key] = figure


def _clock_text(peer: Peer) -> str:
    found = diagnosis(peer)
    where = f" ({found.words}: {found.remedy})" if found and found.needs_action else ""
    return (
        f"source {peer.address}: timestamps out of range{where}. Its events get the time of reception. If its"
        f" clock is right, change timestamps: max_past, max_future"
    )
