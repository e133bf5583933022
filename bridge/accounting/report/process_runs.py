"""Tracks process runs for the report: the last counters of a run, and the receipts since then."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.accounting import UNROUTED
from bridge.accounting.ledger import PURGED
from bridge.accounting.report.rows import ReportRow

SHORTFALL = "collector_shortfall"
UNKNOWN = "lost_with_the_last_minute"
"Drop reason for events that a killed process held and the next one did not find; the real reason was not written."

Fields = dict[str, Any]

NOTHING: Fields = {
    "received": 0, "recovered": 0, "replayed": 0, "delivered": 0, "spooled": 0, "buffered": 0, "quarantined": 0,
    "filtered": 0, "dropped": {}, "possible_duplicates": 0,
}  # fmt: skip
"Counters of an intake before its first event."


@dataclass(slots=True)
class Since:
    """Events of one intake that the journal recorded since its last counters."""

    settled: int = 0
    counted: int = 0
    refused: int = 0
    taken: int = 0
    "The settled events that came from the shared backlog queue of a cluster."
    taken_refused: int = 0
    "The refused events that came from the shared backlog queue."
    handed: int = 0
    "Events that went to the shared backlog queue."
    moved: int = 0
    "Events that commands brought from other intakes and from quarantine, less those that left for other intakes."
    replayed: int = 0
    filtered: int = 0
    purged: int = 0
    spooled: int = 0
    "Net change of the spool by commands."
    unquarantined: int = 0
    "Frames that commands took out of quarantine."


@dataclass(slots=True)
class ProcessRun:
    """A run of the process. ``known``: its figures are complete since its start or since a ``whole`` minute."""

    known: bool
    from_start: bool = False
    after_kill: bool = False
    "True if an earlier process was killed."
    ended: bool = False
    mark: datetime | None = None
    last: str = ""
    figures: dict[str, Fields] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    lost: bool = False
    settled: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    since: defaultdict[str, Since] = field(default_factory=lambda: defaultdict(Since))
    "Events that the journal recorded for an intake since its last counters."
    refused: int = 0
    recovered_decrease: Counter[str] = field(default_factory=Counter)
    "Decrease of *recovered* by intake: refused events that were in quarantine already."
    known_decrease: Counter[str] = field(default_factory=Counter)
    "The part of this decrease whose first refusal is in the journal, by intake."
    transactions: set[int] = field(default_factory=set)
    "Numbers of the commands' transactions."

    def take_command(self, line: Fields) -> None:
        """Adds the events that a command moved. A start repeats the line of a command that a kill interrupted."""
        if line["transaction"] in self.transactions:
            return
        self.transactions.add(line["transaction"])
        for kind, origin, target, events in line["changes"]:
            left = self.since[origin or UNROUTED] if kind != "replay" else Since()
            if kind in ("release", "filter", "purge-quarantined"):
                left.unquarantined += events
            else:
                left.spooled -= events
            if kind == "filter":
                left.filtered += events
            elif kind in ("purge", "purge-quarantined"):
                left.purged += events
            else:
                self.since[target].spooled += events
                if kind == "replay":
                    self.since[target].replayed += events
                else:
                    left.moved -= events
                    self.since[target].moved += events

    def end_line(self, time: str, *, lost: bool) -> None:
        """Records the time of the last line, and whether lines before it are lost."""
        self.last = time
        self.lost |= lost


@dataclass(slots=True)
class Interval:
    """The changes since the last mark, and the current amounts."""

    rows: defaultdict[str, ReportRow] = field(default_factory=lambda: defaultdict(ReportRow))
    drops: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    "Lines that could not be written."
    spooled: dict[str, int] = field(default_factory=dict)
    "Events in spool and memory, by intake."
    quarantined: dict[str, int] = field(default_factory=dict)
    "Events in quarantine, by intake."

    def recover(self, spooled: Fields, quarantined: int) -> None:
        """Replaces the current amounts by those that a start found."""
        self.spooled = dict(spooled)
        self.quarantined = {UNROUTED: quarantined}

    def lose(self, lines: int) -> None:
        """Counts lines that could not be written."""
        self.lost += lines

    def clear(self) -> None:
        """Clears the changes at a mark. Keeps the current amounts."""
        self.rows.clear()
        self.drops.clear()
        self.lost = 0


def add_commands(run: ProcessRun, interval: Interval) -> int:
    """Adds the events that commands moved since the last counters. Returns the frames that left quarantine.

    After a clean stop, these are events of a transaction that the next start finished.
    """
    for intake, since in run.since.items():
        row = interval.rows[intake]
        row.moved += since.moved
        row.replayed += since.replayed
        row.filtered += since.filtered
        row.quarantined -= since.unquarantined
        if since.purged:
            row.dropped[PURGED] += since.purged
    return sum(since.unquarantined for since in run.since.values())


def compare(run: ProcessRun, interval: Interval, start: Fields, again: Counter[str]) -> None:
    """Compares the events found at start with the events left by the clean stop before it.

    Counts any difference as *unexplained*.
    """
    unquarantined = add_commands(run, interval)
    for intake in sorted({*interval.spooled, *start["recovered"], *run.since}):
        expected = interval.spooled.get(intake, 0) + again[intake] - start["damaged"].get(intake, 0)
        expected += run.since[intake].spooled
        if difference := start["recovered"].get(intake, 0) - expected:
            interval.rows[intake].unexplained += difference
    if difference := start["quarantined"] + unquarantined - sum(interval.quarantined.values()):
        interval.rows[UNROUTED].unexplained += difference
        interval.rows[UNROUTED].quarantined += difference


def reconstruct(run: ProcessRun, interval: Interval, start: Fields, again: Counter[str]) -> None:
    """Reconstructs the changes that a killed process made after its last counters, as far as possible.

    The last counters are up to a minute old. The events received since then are the events that the next ``start``
    finds, plus the events receipted and refused since, minus the events that the last counters held. Commands since
    then have lines of their own. Other events filtered or dropped in that time are unknown, so neither side contains
    them.
    """
    all_first_refused = 0
    unquarantined = add_commands(run, interval)
    for intake in sorted({*run.figures, *run.since, *start["recovered"], *start["damaged"]}):
        last, since, row = run.figures.get(intake, NOTHING), run.since[intake], interval.rows[intake]
        settled, counted = since.settled, since.counted
        if run.from_start and not run.lost:
            # Compare the totals of the whole run: the counters may be some requests ahead of the receipts or behind.
            counted = max(0, run.counted[intake] - last["delivered"])
            short = run.settled[intake] - run.counted[intake] - last["dropped"].get(SHORTFALL, 0)
            settled = counted + max(0, short)
        # Refused events that were in quarantine already and that the last counters do not include.
        known = max(0, run.known_decrease[intake] - run.recovered_decrease[intake])
        first_refused = since.refused - known
        all_first_refused += first_refused
        found = start["recovered"].get(intake, 0) + start["damaged"].get(intake, 0) - again[intake]
        # Borrowed events are in the shared queue again, except settled ones, which may have been taken over since.
        borrowed, settled_borrowed = last.get("borrowed", 0), since.taken + since.taken_refused
        row.taken += max(0, settled_borrowed - borrowed)
        row.handed += max(0, borrowed - settled_borrowed) + since.handed
        left_spool = settled + since.refused - settled_borrowed + since.handed - since.spooled
        received = found + left_spool - (last["spooled"] - borrowed) - last["buffered"]
        row.received += max(0, received)
        row.dropped[UNKNOWN] += max(0, -received)
        row.delivered += counted
        row.dropped[SHORTFALL] += settled - counted
        row.quarantined += first_refused
        row.again -= known
        interval.spooled[intake] = found
    interval.recover(interval.spooled, start["quarantined"])
    arrived = start["quarantined"] - sum(f["quarantined"] for f in run.figures.values()) - all_first_refused
    arrived += unquarantined
    without_intake = interval.rows[UNROUTED]
    without_intake.quarantined += arrived
    if arrived >= 0 or (run.after_kill and -arrived <= run.refused):
        # Below 0: some refused events were in quarantine already without a line (see ``ReportBuilder._account``).
        without_intake.received += arrived
    else:
        without_intake.unexplained += arrived
