"""Computes the totals of a period from the lines of the journal (``bridge.accounting.journal``).

The figures of a process count from its start. So the changes between two *marks* (``start``, a group of ``minute``
lines, ``stop``) are the differences of their figures. Each such interval belongs completely to the period that contains
its middle: a period begins and ends at the marks nearest to its bounds, and neighbouring periods add up.

The figures do not show two things, which come from the lines between the marks: events that were sent twice
(``batches``), and the changes that a killed process made after its last figures (``process_runs``), commands among
them.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bridge.accounting import UNROUTED
from bridge.accounting.report.batches import BatchReceipts
from bridge.accounting.report.process_runs import NOTHING, Fields, Interval, ProcessRun, compare, reconstruct
from bridge.accounting.report.rows import Report, ReportRow

DAMAGED = "damaged_at_start"

_LONGEST_INTERVAL = timedelta(hours=1)


class ReportBuilder:
    """Builds a report from all lines of a journal in order.

    ``begin`` and ``end`` (exclusive) bound the period; None: no bound.
    """

    def __init__(self, begin: datetime | None, end: datetime | None) -> None:
        self._begin = begin or datetime.min.replace(tzinfo=UTC)
        self._end = end or datetime.max.replace(tzinfo=UTC)
        self._report = Report()
        self._run: ProcessRun | None = None
        self._batch_receipts = BatchReceipts()
        self._interval = Interval()
        self._held_at_end: tuple[dict[str, int], int] = ({}, 0)
        self._any_inside = False
        self._kinds: dict[str, Callable[[Fields], None]] = {
            "start": self._start, "minute": self._minute, "receipt": self._receipt, "refused": self._refused,
            "handed": self._handed, "command": self._command, "stop": self._stop,
        }  # fmt: skip

    def take(self, line: Fields) -> None:
        """Processes one line. Raises ValueError, KeyError, TypeError or AttributeError if its format is invalid.

        A line of unknown kind is counted: a later version may have written it.
        """
        lost = line.get("lost", 0)
        self._interval.lose(lost)
        kind = self._kinds.get(line["kind"])
        if kind is None:
            self._report.unknown_kinds[line["kind"]] += 1
        else:
            kind(line)
        if self._run is not None:
            self._run.end_line(line["t"], lost=bool(lost))

    def finish(self) -> Report:
        """Returns the report, after the last line."""
        report, run = self._report, self._run
        if run is not None and not run.ended and run.mark is not None and run.mark < self._end:
            report.open_since = run.mark
            report.receipted_since = sum(row.receipted for row in self._interval.rows.values())
        spooled, report.quarantine_end = self._held_at_end
        for intake, held in spooled.items():
            if held or intake in report.rows:
                report.rows.setdefault(intake, ReportRow()).held = held
        report.quarantine_begin = report.quarantine_end
        for row in report.rows.values():
            row.delivered -= row.twice
            out = row.delivered + row.twice + row.quarantined + row.filtered + row.handed + row.dropped.total()
            into = row.received + row.replayed + row.taken + row.moved + row.again + row.unexplained
            row.carried = out + row.held - into
            report.quarantine_begin -= row.quarantined
        report.rows = dict(sorted(report.rows.items()))
        return report

    # --- marks -------------------------------------------------------------------------------------------------------

    def _commit(self, before: datetime | None, now: datetime) -> None:
        """Adds the changes between two marks to the report if their interval belongs to the period."""
        begin, end, report, interval = self._begin, self._end, self._report, self._interval
        before = before or now
        plausible = timedelta() <= now - before <= _LONGEST_INTERVAL
        middle = before + (now - before) / 2 if plausible else now
        inside = begin <= middle < end
        if not plausible and (inside or begin <= before < end):
            report.jumps.append(f"from {_text(before)} to {_text(now)}")
        if before < begin < now:
            report.begins_at = before if inside else now
        if before < end < now:
            report.ends_at = now if inside else before
        if inside:
            for intake, row in interval.rows.items():
                report.rows.setdefault(intake, ReportRow()).add(row)
                dropped, delivered = row.dropped.total(), row.delivered - row.twice
                report.volumes.add_intake(
                    middle.date(), intake, received=row.received, delivered=delivered, dropped=dropped, size=row.size
                )
            report.kernel_drops.update(interval.drops)
            report.lost_lines += interval.lost
        if inside or (not self._any_inside and middle < end):
            self._any_inside |= inside
            self._held_at_end = dict(interval.spooled), sum(interval.quarantined.values())
        interval.clear()

    def _current_run(self) -> ProcessRun:
        """Returns the current process run. Its ``start`` line may have been deleted with an old day."""
        if self._run is None:
            self._run = ProcessRun(known=False)
        return self._run

    def _minute(self, line: Fields) -> None:
        run = self._current_run()
        if line["intake"] is not None:
            self._account(run, line["intake"], line)
            return
        self._drops(run, line["kernel_drops"])
        self._sources(line)
        now = _time(line)
        if run.known:
            self._commit(run.mark, now)
        else:
            # The changes before this group are unknown. From a ``whole`` group on, all figures are known.
            self._interval.rows.clear()
            self._interval.drops.clear()
            run.known = bool(line["whole"])
            if run.known:
                self._commit(now, now)
        run.mark = now

    def _stop(self, line: Fields) -> None:
        run = self._current_run()
        for intake, figures in line["accounts"].items():
            self._account(run, intake, figures)
            if left := figures.get("borrowed", 0):
                # Events in flight at the stop are in the shared queue again.
                self._interval.rows[intake].handed += left
                self._interval.spooled[intake] -= left
        self._drops(run, line["kernel_drops"])
        self._sources(line)
        now = _time(line)
        if not run.known:
            self._interval.rows.clear()
            run.known = True
        self._commit(run.mark, now)
        run.mark, run.ended = now, True

    def _account(self, run: ProcessRun, intake: str, now: Fields) -> None:
        """Adds the difference between an intake's figures and its previous figures."""
        before = run.figures.get(intake)
        run.figures[intake] = now
        run.since.pop(intake, None)
        self._interval.spooled[intake] = now["spooled"] + now["buffered"]
        self._interval.quarantined[intake] = now["quarantined"]
        if not run.known:
            return
        before = before or NOTHING
        row = self._interval.rows[intake]
        row.received += now["received"] - before["received"]
        row.replayed += now["replayed"] - before["replayed"]
        row.taken += now.get("taken_over", 0) - before.get("taken_over", 0)
        row.handed += now.get("handed_over", 0) - before.get("handed_over", 0)
        row.moved += now.get("transferred", 0) - before.get("transferred", 0)
        row.delivered += now["delivered"] - before["delivered"]
        row.size += now.get("delivered_bytes", 0) - before.get("delivered_bytes", 0)
        row.filtered += now["filtered"] - before["filtered"]
        row.quarantined += now["quarantined"] - before["quarantined"]
        row.possible += now["possible_duplicates"] - before["possible_duplicates"]
        row.dropped.update({r: n - before["dropped"].get(r, 0) for r, n in now["dropped"].items()})
        found = now["recovered"] - before["recovered"]
        row.again += found
        if found < 0:
            run.recovered_decrease[intake] -= found
            unrecorded = run.recovered_decrease[intake] - run.known_decrease[intake]
            if unrecorded > 0 and run.after_kill:
                # A process was killed after it had quarantined events and before it wrote their line, so the events
                # looked newly received.
                run.known_decrease[intake] += unrecorded
                row.again += unrecorded
                row.quarantined += unrecorded
                self._interval.rows[UNROUTED].received -= unrecorded
                self._interval.rows[UNROUTED].quarantined -= unrecorded

    def _drops(self, run: ProcessRun, now: dict[str, int]) -> None:
        for listener, count in now.items():
            before = run.drops.get(listener, 0)
            self._interval.drops[listener] += count - before if count >= before else count
            run.drops[listener] = count

    def _sources(self, line: Fields) -> None:
        """Adds the events by source that a line has once an hour."""
        if (listed := line.get("sources")) is not None:
            middle = _time(line) - timedelta(seconds=line["sources_seconds"] / 2)
            if self._begin <= middle < self._end:
                self._report.volumes.add_sources(middle.date(), listed, line["sources_other"])

    # --- lines between marks -----------------------------------------------------------------------------------------

    def _receipt(self, line: Fields) -> None:
        run, intake, count = self._current_run(), line["intake"], line["count"]
        run.ended = False
        row, since = self._interval.rows[intake], run.since[intake]
        settled = sum(events for _, events, _ in line["batches"])
        if line.get("taken"):
            unique = settled
            since.taken += settled
        else:
            unique = 0
            for sequence, events, total in line["batches"]:
                self._correct_unmarked(run, sequence, total)
                unique += self._batch_receipts.settle("accepted", sequence, intake, events, total)
        row.receipts += 1
        row.receipted += count
        row.twice += min(count, settled - unique)
        row.unconfirmed += 0 if line["confirmed"] else count
        since.settled += settled
        since.counted += count
        run.settled[intake] += settled
        run.counted[intake] += count

    def _refused(self, line: Fields) -> None:
        run, intake, count = self._current_run(), line["intake"], line["count"]
        run.ended = False
        taken = bool(line.get("taken"))
        unique = count
        if not taken:
            self._correct_unmarked(run, line["sequence"], line["batch_events"])
            unique = self._batch_receipts.settle("refused", line["sequence"], intake, count, line["batch_events"])
        row, since = self._interval.rows[intake], run.since[intake]
        row.refused += unique
        if unique:
            row.refuse(line["reason"], unique)
        since.refused += count
        since.taken_refused += count if taken else 0
        run.refused += count
        run.known_decrease[intake] += count - unique

    def _handed(self, line: Fields) -> None:
        run, intake, count = self._current_run(), line["intake"], line["count"]
        run.ended = False
        self._correct_unmarked(run, line["sequence"], line["batch_events"])
        self._batch_receipts.settle("handed", line["sequence"], intake, count, line["batch_events"])
        run.since[intake].handed += count

    def _correct_unmarked(self, run: ProcessRun, sequence: int, total: int) -> None:
        """Counts a batch as queued again that looked newly received, or that a clean stop had not left."""
        for intake, count in self._batch_receipts.found_unmarked(sequence, total).items():
            row = self._interval.rows[intake]
            row.again += count
            if run.after_kill:
                row.received -= count
            else:
                row.unexplained -= count

    def _command(self, line: Fields) -> None:
        if "action" in line:
            self._report.actions.take(line, inside=self._begin <= _time(line) < self._end)
        else:
            self._current_run().take_command(line)

    # --- start of a process ------------------------------------------------------------------------------------------

    def _start(self, line: Fields) -> None:
        now = _time(line)
        before = self._run
        queued_again = self._batch_receipts.queued_again(line)
        killed = before is not None and before.known and not before.ended
        if before is not None and killed:
            reconstruct(before, self._interval, line, queued_again)
            self._commit(before.mark, max(before.mark or now, datetime.fromisoformat(before.last)))
        elif before is not None and before.known:
            compare(before, self._interval, line, queued_again)
        else:
            self._interval.rows.clear()
            self._interval.drops.clear()
        for intake, count in queued_again.items():
            self._interval.rows[intake].again += count
        for intake, count in line["damaged"].items():
            self._interval.rows[intake].dropped[DAMAGED] += count
        after_kill = killed or (before is not None and before.after_kill)
        run = ProcessRun(known=True, from_start=True, after_kill=after_kill, mark=now)
        for intake, count in line["recovered"].items():
            run.figures[intake] = NOTHING | {"recovered": count, "spooled": count}
        if line["quarantined"]:
            without_intake = run.figures.setdefault(UNROUTED, dict(NOTHING))
            without_intake["recovered"] += line["quarantined"]
            without_intake["quarantined"] = line["quarantined"]
        for intake, count in line["possible_duplicates"].items():
            run.figures.setdefault(intake, dict(NOTHING))["possible_duplicates"] = count
            self._interval.rows[intake].possible += count
        self._run = run
        self._interval.recover(line["recovered"], line["quarantined"])
        self._commit(now, now)
        if self._begin <= now < self._end:
            self._report.add_start(line)


def _time(line: Fields) -> datetime:
    time = datetime.fromisoformat(line["t"])
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
