"""What a report knows of a process: its last accounts, and what its receipts have said since."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.accounting import UNROUTED
from bridge.accounting.report.rows import ReportRow

SHORTFALL = "collector_shortfall"
UNKNOWN = "lost_with_the_last_minute"
"Events that a killed process held, and that the next one did not find: their reason was in the minute that is missing."

Fields = dict[str, Any]

NOTHING: Fields = {
    "received": 0, "recovered": 0, "replayed": 0, "delivered": 0, "spooled": 0, "buffered": 0, "quarantined": 0,
    "filtered": 0, "dropped": {}, "possible_duplicates": 0,
}  # fmt: skip
"An account before anything happened."


@dataclass(slots=True)
class Since:
    """Of one intake, since its last account."""

    settled: int = 0
    counted: int = 0
    refused: int = 0
    taken: int = 0
    "Of those settled and refused: they came from a queue that gateways share."
    taken_refused: int = 0
    handed: int = 0
    "They went to such a queue."


@dataclass(slots=True)
class ProcessRun:
    """One process. ``known``: the figures are complete, from its start or from a whole minute on."""

    known: bool
    from_start: bool = False
    after_kill: bool = False
    "A process before was killed."
    ended: bool = False
    mark: datetime | None = None
    last: str = ""
    figures: dict[str, Fields] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    lost: bool = False
    settled: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    since: dict[str, Since] = field(default_factory=dict)
    refused: int = 0
    fell: Counter[str] = field(default_factory=Counter)
    "By how much *recovered* went down: refused events that were in quarantine already."
    knew: Counter[str] = field(default_factory=Counter)
    "Of these, those whose first refusal has a line."

    def since_account(self, intake: str) -> Since:
        """What its receipts say."""
        return self.since.setdefault(intake, Since())


@dataclass(slots=True)
class Interval:
    """What happened since the last mark, and what is held now."""

    rows: dict[str, ReportRow] = field(default_factory=dict)
    drops: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    "Lines that could not be written."
    spooled: dict[str, int] = field(default_factory=dict)
    "By intake, in spool and memory."
    quarantined: dict[str, int] = field(default_factory=dict)

    def of(self, intake: str) -> ReportRow:
        """An intake's row."""
        return self.rows.setdefault(intake, ReportRow())

    def clear(self) -> None:
        """A mark."""
        self.rows = {}
        self.drops.clear()
        self.lost = 0


def compare(interval: Interval, start: Fields, again: Counter[str]) -> None:
    """After a clean stop: is all there that it left?"""
    for intake in sorted({*interval.spooled, *start["recovered"]}):
        expected = interval.spooled.get(intake, 0) + again[intake] - start["damaged"].get(intake, 0)
        if different := start["recovered"].get(intake, 0) - expected:
            interval.of(intake).unexplained += different
    if different := start["quarantined"] - sum(interval.quarantined.values()):
        interval.of(UNROUTED).unexplained += different
        interval.of(UNROUTED).quarantined += different


def reconstruct(life: ProcessRun, interval: Interval, start: Fields, again: Counter[str]) -> None:
    """What a killed process did since its last accounts, as far as it can be known.

    They are up to a minute old. What the next ``start`` finds, what was receipted and refused since, less what the last
    accounts held, was received since. What was filtered or dropped in that time nobody knows; so it is in neither side.
    """
    refused_anew = 0
    for intake in sorted({*life.figures, *life.since, *start["recovered"], *start["damaged"]}):
        last, since, row = life.figures.get(intake, NOTHING), life.since_account(intake), interval.of(intake)
        settled, counted = since.settled, since.counted
        if life.from_start and not life.lost:
            # By the whole life: an account may be some requests ahead of the receipts, or behind them.
            counted = max(0, life.counted[intake] - last["delivered"])
            short = life.settled[intake] - life.counted[intake] - last["dropped"].get(SHORTFALL, 0)
            settled = counted + max(0, short)
        # Refused events that were in quarantine already, of which the accounts do not know yet.
        known = max(0, life.knew[intake] - life.fell[intake])
        anew = since.refused - known
        refused_anew += anew
        there = start["recovered"].get(intake, 0) + start["damaged"].get(intake, 0) - again[intake]
        # What was borrowed is in its queue again, but for what was settled; that may have come since.
        borrowed, lent = last.get("borrowed", 0), since.taken + since.taken_refused
        row.taken += max(0, lent - borrowed)
        row.handed += max(0, borrowed - lent) + since.handed
        gone = settled + since.refused - lent + since.handed
        received = there + gone - (last["spooled"] - borrowed) - last["buffered"]
        row.received += max(0, received)
        row.dropped[UNKNOWN] += max(0, -received)
        row.delivered += counted
        row.dropped[SHORTFALL] += settled - counted
        row.quarantined += anew
        row.again -= known
        interval.spooled[intake] = there
    interval.quarantined = {UNROUTED: start["quarantined"]}
    arrived = start["quarantined"] - sum(f["quarantined"] for f in life.figures.values()) - refused_anew
    none = interval.of(UNROUTED)
    none.quarantined += arrived
    if arrived >= 0 or (life.after_kill and -arrived <= life.refused):
        # Below 0: some refused events were there already, without a line (see ``Reckoning._account``).
        none.received += arrived
    else:
        none.unexplained += arrived
