"""Remembers whose frames were quarantined for which reason and fault, in bounded memory.

The files of the quarantine hold all of it, but are too large to be read for each status. After a start, only the
newest entries of each reason are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.spool.quarantine_entry import QuarantineEntry

MAX_NAMES = 100
"Sources and intakes of each reason that are remembered."
MAX_FAULTS = 3
"Faults of each reason that are remembered, the latest."
MAX_FAULT = 200
"Characters of a fault that are remembered."


@dataclass(slots=True)
class HeldTally:
    """Describes the frames that were quarantined for one reason. One thread writes them; others may read."""

    count: int = 0
    "Frames since the start."
    latest_ms: int = 0
    "Time of reception of the latest frame, in milliseconds since the epoch."
    sources: dict[str, None] = field(default_factory=dict)
    intakes: dict[str, None] = field(default_factory=dict)
    faults: dict[str, None] = field(default_factory=dict)
    "The faults, the latest last."

    def note(self, entries: Sequence[QuarantineEntry]) -> None:
        """Counts frames."""
        self.count += len(entries)
        self._remember(entries)

    def recover(self, entries: Sequence[QuarantineEntry]) -> None:
        """Takes the newest entries of an earlier process, the latest first."""
        self._remember(entries[::-1])

    def forget(self) -> None:
        """Forgets whose frames were quarantined, because none is held any more."""
        self.sources.clear()
        self.intakes.clear()
        self.faults.clear()

    def _remember(self, entries: Sequence[QuarantineEntry]) -> None:
        if entries:
            self.latest_ms = entries[-1].received_ms
        # The frames of a read are of a few kinds.
        for source, intake, fault in {(entry.peer, entry.intake, entry.detail): None for entry in entries}:
            for names, name in ((self.sources, source), (self.intakes, intake)):
                if name and len(names) < MAX_NAMES:
                    names[name] = None
            self.faults.pop(fault[:MAX_FAULT], None)
            self.faults[fault[:MAX_FAULT]] = None
        for fault in list(self.faults)[:-MAX_FAULTS]:
            del self.faults[fault]
