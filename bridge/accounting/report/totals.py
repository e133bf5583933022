"""The account of a period, reckoned from the lines of the ledger's history (``bridge.accounting.journal``).

The figures of a process count from its start, so what happened between two *marks* (``start``, the groups of
``minute``, ``stop``) is the difference of their figures. Each such interval belongs whole to the period that its middle
lies in: a period begins and ends at the mark nearest to its bound, and neighbouring periods add up.

Two things no account says; the lines between the marks do: what was sent twice (``report_books``), and what a killed
process did since its last accounts (``report_lives``).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bridge.accounting import UNROUTED
from bridge.accounting.report.batches import BatchReceipts
from bridge.accounting.report.process_runs import (
    NOTHING,
    Fields,
    Interval,
    ProcessRun,
    compare,
    reconstruct,
)
from bridge.accounting.report.rows import Report, ReportRow

DAMAGED = "damaged_at_start"

_LONGEST_INTERVAL = timedelta(hours=1)


class ReportBuilder:
    """Takes all lines of a history in order; ``begin`` and ``end`` (exclusive) bound the period, None: all there is."""

    def __init__(self, begin: datetime | None, end: datetime | None) -> None:
        self._begin = begin or datetime.min.replace(tzinfo=UTC)
        self._end = end or datetime.max.replace(tzinfo=UTC)
        self._report = Report()
        self._life: ProcessRun | None = None
        self._books = BatchReceipts()
        self._interval = Interval()
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
            self._interval.lost += lost
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
            report.not_yet = sum(row.receipted for row in self._interval.rows.values())
        spooled, report.quarantine_end = self._held_at_end
        for intake, held in spooled.items():
            if held or intake in report.rows:
                report.rows.setdefault(intake, ReportRow()).held = held
        report.quarantine_begin = report.quarantine_end
        for row in report.rows.values():
            row.delivered -= row.twice
            out = row.delivered + row.twice + row.quarantined + row.filtered + row.dropped.total() + row.held
            out += row.handed
            row.carried = out - row.received - row.replayed - row.taken - row.moved - row.again - row.unexplained
            report.quarantine_begin -= row.quarantined
        report.rows = dict(sorted(report.rows.items()))
        return report

    # --- marks -------------------------------------------------------------------------------------------------------

    def _commit(self, before: datetime | None, now: datetime) -> None:
        """What happened between two marks goes to the period, or not."""
        begin, end, report, interval = self._begin, self._end, self._report, self._interval
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
            for intake, row in interval.rows.items():
                report.rows.setdefault(intake, ReportRow()).add(row)
            report.kernel_drops.update(interval.drops)
            report.lost_lines += interval.lost
        if inside or (not self._any and middle < end):
            self._any |= inside
            self._held_at_end = dict(interval.spooled), sum(interval.quarantined.values())
        interval.clear()

    def _present(self) -> ProcessRun:
        """The process at work; its start may not be kept any more."""
        if self._life is None:
            self._life = ProcessRun(known=False)
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
            self._interval.rows = {}
            self._interval.drops.clear()
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
                self._interval.of(intake).handed += left
                self._interval.spooled[intake] -= left
        self._drops(life, line["kernel_drops"])
        now = _time(line)
        if not life.known:
            self._interval.rows, life.known = {}, True
        self._commit(life.mark, now)
        life.mark, life.ended = now, True

    def _account(self, life: ProcessRun, intake: str, now: Fields) -> None:
        """The difference of an intake's figures."""
        before = life.figures.get(intake)
        life.figures[intake] = now
        life.since.pop(intake, None)
        self._interval.spooled[intake] = now["spooled"] + now["buffered"]
        self._interval.quarantined[intake] = now["quarantined"]
        if not life.known:
            return
        before = before or NOTHING
        row = self._interval.of(intake)
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
                self._interval.of(UNROUTED).received -= hidden
                self._interval.of(UNROUTED).quarantined -= hidden

    def _drops(self, life: ProcessRun, now: dict[str, int]) -> None:
        for listener, count in now.items():
            before = life.drops.get(listener, 0)
            self._interval.drops[listener] += count - before if count >= before else count
            life.drops[listener] = count

    # --- between them ------------------------------------------------------------------------------------------------

    def _receipt(self, line: Fields) -> None:
        life, intake, count = self._present(), line["intake"], line["count"]
        life.ended = False
        row, since = self._interval.of(intake), life.since_account(intake)
        settled = unique = 0
        if line.get("taken"):
            settled = unique = sum(events for _, events, _ in line["batches"])
            since.taken += settled
        for sequence, events, total in () if line.get("taken") else line["batches"]:
            unique += self._books.accept(sequence, intake, events, total)
            settled += events
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
        taken = bool(line.get("taken"))
        unique = count if taken else self._books.refuse(line["sequence"], intake, count, line["batch_events"])
        row, since = self._interval.of(intake), life.since_account(intake)
        row.refused += unique
        if unique:
            row.refuse(line["reason"], unique)
        since.refused += count
        since.taken_refused += count if taken else 0
        life.refused += count
        life.knew[intake] += count - unique

    def _handed(self, line: Fields) -> None:
        life, intake, count = self._present(), line["intake"], line["count"]
        life.ended = False
        self._books.hand_over(line["sequence"], intake, count, line["batch_events"])
        life.since_account(intake).handed += count

    # --- a process begins --------------------------------------------------------------------------------------------

    def _start(self, line: Fields) -> None:
        now = _time(line)
        before = self._life
        again = self._books.queued_again(line)
        killed = before is not None and before.known and not before.ended
        if before is not None and killed:
            reconstruct(before, self._interval, line, again)
            self._commit(before.mark, max(before.mark or now, datetime.fromisoformat(before.last)))
        elif before is not None and before.known:
            compare(self._interval, line, again)
        else:
            self._interval.rows = {}
            self._interval.drops.clear()
        for intake, count in again.items():
            self._interval.of(intake).again += count
        for intake, count in line["damaged"].items():
            self._interval.of(intake).dropped[DAMAGED] += count
        after_kill = killed or (before is not None and before.after_kill)
        life = ProcessRun(known=True, from_start=True, after_kill=after_kill, mark=now)
        for intake, count in line["recovered"].items():
            life.figures[intake] = NOTHING | {"recovered": count, "spooled": count}
        if line["quarantined"]:
            none = life.figures.setdefault(UNROUTED, dict(NOTHING))
            none["recovered"] += line["quarantined"]
            none["quarantined"] = line["quarantined"]
        for intake, count in line["possible_duplicates"].items():
            life.figures.setdefault(intake, dict(NOTHING))["possible_duplicates"] = count
            self._interval.of(intake).possible += count
        self._life = life
        self._interval.spooled = dict(line["recovered"])
        self._interval.quarantined = {UNROUTED: line["quarantined"]}
        self._commit(now, now)
        if self._begin <= now < self._end:
            self._report.starts.append((line["t"], bool(line["unclean"]), str(line["version"])))
            self._report.torn_lines += line["torn"]


def _time(line: Fields) -> datetime:
    time = datetime.fromisoformat(line["t"])
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
