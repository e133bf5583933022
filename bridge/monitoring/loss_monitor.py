"""Checks counters every few seconds and records losses of events: how many, why, since when and until when.

Incidents, such as truncated messages, are recorded in the same way.

A loss goes on until its counter has not increased for ``ENDS_AFTER`` seconds. Then its alarm ends. Losses for the same
reason within ``MERGED_SECONDS`` are one loss. The monitor also raises alarms for wrong clocks of sources and for a
ledger imbalance.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge.accounting import UNROUTED, Ledger
from bridge.ingest.peers import Peer, Peers
from bridge.monitoring.alarms import Alarms
from bridge.monitoring.problems.losses import (
    RECEIVE_BUFFER,
    SEQUENCE_GAP,
    SOURCE_LIMIT,
    LossReason,
    describe_loss,
    reason_of,
)
from bridge.monitoring.sources import diagnosis
from bridge.util.counts import plural

EVERY = 5.0
"Seconds between two checks."
ENDS_AFTER = 50.0
"Seconds without further loss after which an alarm ends. With the time between two checks, less than a minute."
MERGED_SECONDS = 3600.0
"Seconds after a loss in which a further loss for the same reason continues it."
REMEMBERED_SECONDS = 86_400.0
"Seconds for which a loss is remembered after its end."
MAX_NAMES = 100
"Number of intakes, listeners or sources of a loss that are remembered."
MAX_CLOCK_ALARMS = 100
"Number of sources with an alarm for their clock. The status counts them all; senders can be forged at will."
MAX_FIGURES = 100_000
"Number of remembered counter values above which the values of forgotten sources are removed."

_CLOCK, _LIMITED = "clock", "limited"
_OF_SOURCES = (_CLOCK, _LIMITED, SEQUENCE_GAP)
"Kinds of counter values that are remembered by source."


@dataclass(slots=True)
class LossRecord:
    """Events that were lost for one reason. ``since`` and ``latest`` are monotonic times."""

    reason: str
    since: float
    latest: float
    events: int = 0
    names: Counter[str] = field(default_factory=Counter)
    "Lost events by intake, listener or source."

    def add(self, name: str, events: int) -> None:
        """Counts lost events of an intake, listener or source, whose number is bounded."""
        if name in self.names or len(self.names) < MAX_NAMES:
            self.names[name] += events

    def goes_on(self, now: float) -> bool:
        """Returns True if events were lost within the last ``ENDS_AFTER`` seconds."""
        return now - self.latest < ENDS_AFTER


class LossMonitor:
    """Records losses, and raises an alarm while a loss counter increases. ``clock`` is monotonic."""

    def __init__(
        self, alarms: Alarms, *, ledger: Ledger, peers: Peers, kernel_drops: Callable[[], Mapping[str, int]],
        incidents: Callable[[], Mapping[str, Mapping[str, int]]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """``incidents`` returns reason -> name -> messages since the start."""
        self._alarms = alarms
        self._ledger = ledger
        self._peers = peers
        self._kernel_drops = kernel_drops
        self._incidents = incidents
        self._clock = clock
        self._losses: dict[str, LossRecord] = {}
        "The latest loss for each reason."
        self._figures: dict[tuple[str, str], int] = {}
        self._now = clock()
        "Time at which the counters are compared."
        self._unreported: set[str] = set()
        "Reasons of losses that were counted since the alarms were raised."

    def look(self) -> None:
        """Compares the counters with their values at the last check."""
        self._count_drops()
        self._look_at_sources()
        self._raise_alarms()
        if self._ledger.imbalance:
            self._alarms.on(
                "defect", "ledger", "the ledger does not balance",
                remedy='report this as a defect, with the output of "syslog-bridge status --output json"',
            )  # fmt: skip
        else:
            self._alarms.off("defect", "ledger", "the ledger balances again")
        if len(self._figures) > MAX_FIGURES:
            known = {peer.address for peer in self._peers.all()}
            self._figures = {
                (kind, about): figure for (kind, about), figure in self._figures.items()
                if kind not in _OF_SOURCES or about in known
            }  # fmt: skip

    def _look_at_sources(self) -> None:
        """Counts what concerns single sources. A source may be the peer of several listeners."""
        outside: Counter[str] = Counter()
        missing: Counter[str] = Counter()
        limited: Counter[str] = Counter()
        peers: dict[str, Peer] = {}
        for peer in self._peers.all():
            if peer.outside:
                outside[peer.address] += peer.outside
                peers[peer.address] = peer
            if peer.gaps is not None:
                missing[peer.address] += peer.gaps.missing
            if peer.limited:
                limited[peer.address] += peer.limited
        for address, count in outside.items():
            if self._increase(_CLOCK, address, count):
                # The text of an active alarm stays: a new figure in it would report the alarm again at each check.
                active = self._alarms.current.get(("clock", address))
                if active is None and self._alarms.count("clock") >= MAX_CLOCK_ALARMS:
                    continue
                text = active.text if active else _clock_text(peers[address])
                self._alarms.on("clock", address, text, lasts=ENDS_AFTER)
        for address, count in missing.items():
            self._count(SEQUENCE_GAP, address, count)
        for address, count in limited.items():
            # The events are counted already, by the ledger.
            if (increase := self._increase(_LIMITED, address, count)) and (loss := self._losses.get(SOURCE_LIMIT)):
                loss.add(address, increase)

    def losses(self) -> list[LossRecord]:
        """Returns the losses that go on, or ended within ``REMEMBERED_SECONDS``."""
        now = self._clock()
        return [loss for loss in self._losses.values() if now - loss.latest < REMEMBERED_SECONDS]

    def report(self, *, incidents: bool = False) -> list[dict[str, object]]:
        """Returns the losses for ``/api/status``, by the current figures of the ledger; or the incidents.

        ``ended_seconds`` is None while a loss goes on.
        """
        self._count_drops()
        now = self._now
        return [
            {
                "reason": loss.reason, "events": loss.events, "names": [name for name in loss.names if name],
                "since_seconds": round(now - loss.since, 1),
                "ended_seconds": None if loss.goes_on(now) else round(now - loss.latest, 1),
                "since": self._alarms.moment(loss.since), "latest": self._alarms.moment(loss.latest),
            }
            for loss in self.losses() if (reason_of(loss.reason).kind != "loss") is incidents
        ]  # fmt: skip

    def _raise_alarms(self) -> None:
        """Raises or prolongs the alarm of each loss that was counted since the last call."""
        reasons, self._unreported = self._unreported, set()
        for loss in map(self._losses.__getitem__, sorted(reasons)):
            # The text of an active alarm stays, or each further name would report it again.
            reason = reason_of(loss.reason)
            active = self._alarms.current.get((reason.kind, loss.reason))
            what, remedy = describe_loss(loss.reason, [name for name in loss.names if name])
            text = active.text if active else f"{_effect(reason)}: {what}"
            self._alarms.on(
                reason.kind, loss.reason, text, lasts=ENDS_AFTER, remedy=active.remedy if active else remedy
            )

    def _count_drops(self) -> None:
        """Counts what the kernel and the gateway have dropped since the last call."""
        self._now = self._clock()
        for listener, drops in self._kernel_drops().items():
            self._count(RECEIVE_BUFFER, listener, drops)
        for intake, account in list(self._ledger.accounts.items()):
            for reason, count in account.dropped.items():
                self._count(reason, "" if intake == UNROUTED else intake, count)
        for reason, by_name in self._incidents().items():
            for name, count in by_name.items():
                self._count(reason, name, count)

    def _increase(self, kind: str, about: str, figure: int) -> int:
        """Returns by how much a counter has increased since the last check."""
        key = (kind, about)
        increase = figure - self._figures.get(key, 0)
        self._figures[key] = figure
        return max(0, increase)

    def _count(self, reason: str, name: str, figure: int) -> None:
        if not (lost := self._increase(reason, name, figure)):
            return
        now = self._now
        loss = self._losses.get(reason)
        if loss is None or now - loss.latest >= MERGED_SECONDS:
            loss = self._losses[reason] = LossRecord(reason, now, now)
        loss.latest = now
        self._unreported.add(reason)
        loss.events += lost
        loss.add(name, lost)


def _effect(reason: LossReason) -> str:
    return "events are lost" if reason.kind == "loss" else f"{plural(reason.lost)} are {reason.verb}"


def _clock_text(peer: Peer) -> str:
    found = diagnosis(peer)
    where = f" ({found.words}: {found.remedy})" if found and found.needs_action else ""
    return (
        f"source {peer.address}: timestamps out of range{where}. Its events get the time of reception. If its"
        f" clock is right, change timestamps: max_past, max_future"
    )
