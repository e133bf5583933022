"""The account of a period, reckoned from the lines of the ledger's history (``bridge.spool.history``).

The figures of a process count from its start, so what happened between two *marks* (``start``, the groups of
``minute``, ``stop``) is the difference of their figures. Each such interval belongs whole to the period that its middle
lies in: a period begins and ends at the mark nearest to its bound, and neighbouring periods add up.

Two things no account says; the lines between the marks do:

**Sent twice.** The batches of a killed process that may have been accepted are sent again, whole. What a batch has
been receipted for, beyond the most that one process has receipted, is twice delivered. ``start`` names the batches that
are there again, so of each earlier batch it is known whether it can come once more.

**The end of a killed process.** Its last accounts are up to a minute old. What the next ``start`` finds, what was
receipted and refused since, less what the last accounts held, was received since. What was filtered or dropped in that
time nobody knows; so it is in neither side.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.ledger import UNROUTED
from bridge.tools.report_rows import Report, Row

SHORTFALL = "collector_shortfall"
UNKNOWN = "lost_with_the_last_minute"
"Events that a killed process held, and that the next one did not find: their reason was in the minute that is missing."
DAMAGED = "damaged_at_start"

_MOST_COMPLETE = 100_000
"Batches receipted whole that are remembered within a process's life; older ones are taken to be unlinked."
_LONGEST_INTERVAL = timedelta(hours=1)

Fields = dict[str, Any]


@dataclass(slots=True)
class _Book:
    """What is known of one batch."""

    intake: str
    total: int
    accepted: int = 0
    "The most events that one process has receipted."
    refused: int = 0
    accepted_now: int = 0
    "By the process at work."
    refused_now: int = 0

    @property
    def settled_now(self) -> int:
        return self.accepted_now + self.refused_now


@dataclass(slots=True)
class _Since:
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
class _Life:
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
    since: dict[str, _Since] = field(default_factory=dict)
    refused: int = 0
    fell: Counter[str] = field(default_factory=Counter)
    "By how much *recovered* went down: refused events that were in quarantine already."
    knew: Counter[str] = field(default_factory=Counter)
    "Of these, those whose first refusal has a line."

    def since_account(self, intake: str) -> _Since:
        return self.since.setdefault(intake, _Since())


class Reckoning:
    """Takes all lines of a history in order; ``begin`` and ``end`` (exclusive) bound the period, None: all there is."""

    def __init__(self, begin: datetime | None, end: datetime | None) -> None:
        self._begin = begin or datetime.min.replace(tzinfo=UTC)
        self._end = end or datetime.max.replace(tzinfo=UTC)
        self._report = Report()
        self._life: _Life | None = None
        self._books: dict[int, _Book] = {}
        self._complete: OrderedDict[int, None] = OrderedDict()
        self._pending: dict[str, Row] = {}
        self._pending_drops: Counter[str] = Counter()
        self._pending_lost = 0
        self._spooled: dict[str, int] = {}
        self._quarantined: dict[str, int] = {}
        self._held_at_end: tuple[dict[str, int], int] = ({}, 0)
        self._any = False
        self._kinds: dict[str, Callable[[Fields], None]] = {
            "start": self._start,
            "minute": self._minute,
            "receipt": self._receipt,
            "refused": self._refused,
            "handed": self._handed,
            "stop": self._stop,
        }

    def take(self, line: Fields) -> None:
        """One line. Raises ValueError, KeyError, TypeError, AttributeError where it is not of the format."""
        if self._report.first_line is None:
            self._report.first_line = _time(line)
        if lost := line.get("lost", 0):
            self._pending_lost += lost
        kind = self._kinds.get(line["kind"])
        if kind is None:
            raise ValueError("a line of an unknown kind")
        kind(line)
        if self._life is not None:
            self._life.last = line["t"]
            self._life.lost |= bool(lost)

    def finish(self) -> Report:
        """The account, after the last line."""
        report, life = self._report, self._life
        if life is not None and not life.ended and life.mark is not None and life.mark < self._end:
            report.open_since = life.mark
            report.not_yet = sum(row.receipted for row in self._pending.values())
        spooled, report.quarantine_end = self._held_at_end
        for intake, held in spooled.items():
            if held or intake in report.rows:
                self._row(report.rows, intake).held = held
        report.quarantine_begin = report.quarantine_end
        for row in report.rows.values():
            row.delivered -= row.twice
            out = row.delivered + row.twice + row.quarantined + row.filtered + row.dropped.total() + row.held
            out += row.handed
            row.carried = out - row.received - row.replayed - row.taken - row.moved - row.again - row.unexplained
            report.quarantine_begin -= row.quarantined
        report.rows = dict(sorted(report.rows.items()))
        return report

    @staticmethod
    def _row(rows: dict[str, Row], intake: str) -> Row:
        row = rows.get(intake)
        if row is None:
            row = rows[intake] = Row()
        return row

    def _of(self, intake: str) -> Row:
        return self._row(self._pending, intake)

    # --- marks -------------------------------------------------------------------------------------------------------

    def _commit(self, before: datetime | None, now: datetime) -> None:
        """What happened between two marks goes to the period, or not."""
        begin, end, report = self._begin, self._end, self._report
        before = before or now
        as_usual = timedelta() <= now - before <= _LONGEST_INTERVAL
        middle = before + (now - before) / 2 if as_usual else now
        inside = begin <= middle < end
        if not as_usual and (inside or begin <= before < end):
            report.jumps.append(f"from {_text(before)} to {_text(now)}")
        if before < begin < now:
            report.begins_at = before if inside else now
        if before < end < now:
            report.ends_at = now if inside else before
        if inside:
            for intake, row in self._pending.items():
                self._row(report.rows, intake).add(row)
            report.kernel_drops.update(self._pending_drops)
            report.lost_lines += self._pending_lost
        if inside or (not self._any and middle < end):
            self._any |= inside
            self._held_at_end = dict(self._spooled), sum(self._quarantined.values())
        self._pending = {}
        self._pending_drops.clear()
        self._pending_lost = 0

    def _present(self) -> _Life:
        """The process at work; its start may not be kept any more."""
        if self._life is None:
            self._life = _Life(known=False)
        return self._life

    def _minute(self, line: Fields) -> None:
        life = self._present()
        if line["intake"] is not None:
            self._account(life, line["intake"], line)
            return
        self._drops(life, line["kernel_drops"])
        now = _time(line)
        if life.known:
            self._commit(life.mark, now)
        else:
            # Nothing is known of what was before; from a whole group on, all is.
            self._pending = {}
            self._pending_drops.clear()
            life.known = bool(line["whole"])
            if life.known:
                self._commit(now, now)
        life.mark = now

    def _stop(self, line: Fields) -> None:
        life = self._present()
        for intake, figures in line["accounts"].items():
            self._account(life, intake, figures)
            if left := figures.get("borrowed", 0):
                # In flight to the last: they are in their queue again.
                self._of(intake).handed += left
                self._spooled[intake] -= left
        self._drops(life, line["kernel_drops"])
        now = _time(line)
        if not life.known:
            self._pending, life.known = {}, True
        self._commit(life.mark, now)
        life.mark, life.ended = now, True

    def _account(self, life: _Life, intake: str, now: Fields) -> None:
        """The difference of an intake's figures."""
        before = life.figures.get(intake)
        life.figures[intake] = now
        life.since.pop(intake, None)
        self._spooled[intake] = now["spooled"] + now["buffered"]
        self._quarantined[intake] = now["quarantined"]
        if not life.known:
            return
        before = before or _NOTHING
        row = self._of(intake)
        row.received += now["received"] - before["received"]
        row.replayed += now["replayed"] - before["replayed"]
        row.taken += now.get("taken_over", 0) - before.get("taken_over", 0)
        row.handed += now.get("handed_over", 0) - before.get("handed_over", 0)
        row.moved += now.get("transferred", 0) - before.get("transferred", 0)
        row.delivered += now["delivered"] - before["delivered"]
        row.filtered += now["filtered"] - before["filtered"]
        row.quarantined += now["quarantined"] - before["quarantined"]
        row.possible += now["possible_duplicates"] - before["possible_duplicates"]
        row.dropped.update({r: n - before["dropped"].get(r, 0) for r, n in now["dropped"].items()})
        found = now["recovered"] - before["recovered"]
        row.again += found
        if found < 0:
            life.fell[intake] -= found
            hidden = life.fell[intake] - life.knew[intake]
            if hidden > 0 and life.after_kill:
                # A process killed between quarantine and its line: what it had put aside looked like newly arrived.
                life.knew[intake] += hidden
                row.again += hidden
                row.quarantined += hidden
                self._of(UNROUTED).received -= hidden
                self._of(UNROUTED).quarantined -= hidden

    def _drops(self, life: _Life, now: dict[str, int]) -> None:
        for listener, count in now.items():
            before = life.drops.get(listener, 0)
            self._pending_drops[listener] += count - before if count >= before else count
            life.drops[listener] = count

    # --- between them ------------------------------------------------------------------------------------------------

    def _receipt(self, line: Fields) -> None:
        life, intake, count = self._present(), line["intake"], line["count"]
        life.ended = False
        row, since = self._of(intake), life.since_account(intake)
        settled = unique = 0
        if line.get("taken"):
            settled = unique = sum(events for _, events, _ in line["batches"])
            since.taken += settled
        for sequence, events, total in () if line.get("taken") else line["batches"]:
            book = self._book(sequence, intake, total)
            book.accepted_now += events
            unique += max(0, book.accepted_now - book.accepted)
            book.accepted = max(book.accepted, book.accepted_now)
            settled += events
            self._completed(sequence, book)
        row.receipts += 1
        row.receipted += count
        row.twice += min(count, settled - unique)
        row.unconfirmed += 0 if line["confirmed"] else count
        since.settled += settled
        since.counted += count
        life.settled[intake] += settled
        life.counted[intake] += count

    def _refused(self, line: Fields) -> None:
        life, intake, count = self._present(), line["intake"], line["count"]
        life.ended = False
        if line.get("taken"):
            row, since = self._of(intake), life.since_account(intake)
            row.refused += count
            row.refuse(line["reason"], count)
            since.refused += count
            since.taken_refused += count
            life.refused += count
            return
        book = self._book(line["sequence"], intake, line["batch_events"])
        book.refused_now += count
        unique = max(0, book.refused_now - book.refused)
        book.refused = max(book.refused, book.refused_now)
        self._completed(line["sequence"], book)
        row, since = self._of(intake), life.since_account(intake)
        row.refused += unique
        if unique:
            row.refuse(line["reason"], unique)
        since.refused += count
        life.refused += count
        life.knew[intake] += count - unique

    def _handed(self, line: Fields) -> None:
        life, intake = self._present(), line["intake"]
        life.ended = False
        life.since_account(intake).handed += line["count"]

    def _book(self, sequence: int, intake: str, total: int) -> _Book:
        book = self._books.get(sequence)
        if book is None:
            book = self._books[sequence] = _Book(intake, total)
        book.total = total
        return book

    def _completed(self, sequence: int, book: _Book) -> None:
        if book.settled_now >= book.total:
            self._complete[sequence] = None
            if len(self._complete) > _MOST_COMPLETE:
                self._books.pop(self._complete.popitem(last=False)[0], None)

    # --- a process begins --------------------------------------------------------------------------------------------

    def _start(self, line: Fields) -> None:
        now = _time(line)
        before = self._life
        again = self._queued_again(line)
        killed = before is not None and before.known and not before.ended
        if before is not None and killed:
            self._reconstruct(before, line, again)
            self._commit(before.mark, max(before.mark or now, datetime.fromisoformat(before.last)))
        elif before is not None and before.known:
            self._compare(line, again)
        else:
            self._pending = {}
            self._pending_drops.clear()
        for intake, count in again.items():
            self._of(intake).again += count
        for intake, count in line["damaged"].items():
            self._of(intake).dropped[DAMAGED] += count
        after_kill = killed or (before is not None and before.after_kill)
        life = _Life(known=True, from_start=True, after_kill=after_kill, mark=now)
        for intake, count in line["recovered"].items():
            life.figures[intake] = _NOTHING | {"recovered": count, "spooled": count}
        if line["quarantined"]:
            none = life.figures.setdefault(UNROUTED, dict(_NOTHING))
            none["recovered"] += line["quarantined"]
            none["quarantined"] = line["quarantined"]
        for intake, count in line["possible_duplicates"].items():
            life.figures.setdefault(intake, dict(_NOTHING))["possible_duplicates"] = count
            self._of(intake).possible += count
        self._life = life
        self._spooled = dict(line["recovered"])
        self._quarantined = {UNROUTED: line["quarantined"]}
        self._commit(now, now)
        if self._begin <= now < self._end:
            self._report.starts.append((line["t"], bool(line["unclean"]), str(line["version"])))
            self._report.torn_lines += line["torn"]

    def _queued_again(self, line: Fields) -> Counter[str]:
        """By intake: events that the process before had settled, in batches that are there again whole."""
        there = {sequence for batches in line["sending"].values() for sequence, _ in batches}
        again: Counter[str] = Counter()
        kept: dict[int, _Book] = {}
        for sequence, book in self._books.items():
            incomplete = book.settled_now < book.total
            if sequence in there or (line["sending_more"] and incomplete):
                again[book.intake] += book.settled_now
                book.accepted_now = book.refused_now = 0
                kept[sequence] = book
        self._books = kept
        self._complete.clear()
        return again

    def _compare(self, line: Fields, again: Counter[str]) -> None:
        """After a clean stop: is all there that it left?"""
        for intake in sorted({*self._spooled, *line["recovered"]}):
            expected = self._spooled.get(intake, 0) + again[intake] - line["damaged"].get(intake, 0)
            if different := line["recovered"].get(intake, 0) - expected:
                self._of(intake).unexplained += different
        if different := line["quarantined"] - sum(self._quarantined.values()):
            self._of(UNROUTED).unexplained += different
            self._of(UNROUTED).quarantined += different

    def _reconstruct(self, life: _Life, line: Fields, again: Counter[str]) -> None:
        """What a killed process did since its last accounts, as far as it can be known."""
        refused_anew = 0
        for intake in sorted({*life.figures, *life.since, *line["recovered"], *line["damaged"]}):
            last, since, row = life.figures.get(intake, _NOTHING), life.since_account(intake), self._of(intake)
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
            there = line["recovered"].get(intake, 0) + line["damaged"].get(intake, 0) - again[intake]
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
            self._spooled[intake] = there
        self._quarantined = {UNROUTED: line["quarantined"]}
        arrived = line["quarantined"] - sum(f["quarantined"] for f in life.figures.values()) - refused_anew
        none = self._of(UNROUTED)
        none.quarantined += arrived
        if arrived >= 0 or (life.after_kill and -arrived <= life.refused):
            # Below 0: some refused events were there already, without a line (see ``_account``).
            none.received += arrived
        else:
            none.unexplained += arrived


_NOTHING: Fields = {
    "received": 0, "recovered": 0, "replayed": 0, "delivered": 0, "spooled": 0, "buffered": 0, "quarantined": 0,
    "filtered": 0, "dropped": {}, "possible_duplicates": 0,
}  # fmt: skip


def _time(line: Fields) -> datetime:
    time = datetime.fromisoformat(line["t"])
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
