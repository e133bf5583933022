"""Tests that the journal writer writes one line per full minute, of one moment, and a last line at stop."""

from twisted.internet import defer, task

from bridge.accounting import Ledger
from bridge.accounting.journal import Journal, Receipt
from bridge.accounting.journal_lines import JournalReader
from bridge.spool.recovery import RecoveredSpool
from bridge.storage.journal_writer import JournalWriter

START = 1_772_323_200 + 12.5  # 2026-03-01T00:00:12.5Z


class Bench:
    """Journal writer whose clocks and thread the test controls."""

    def __init__(self, directory):
        self.directory = directory / ".ledger"
        self.clock = task.Clock()
        self.offset = 0.0
        self.ledger = Ledger()
        self.drops = {"udp": 0}
        self.jobs = []
        journal = Journal(self.directory, keep=None, wall=self.wall)
        self.journal_writer = JournalWriter(
            journal, self.ledger, self.in_thread, self.clock, lambda: dict(self.drops), wall=self.wall
        )
        self.journal_writer.start(RecoveredSpool(), quarantined=0, config_sha256="c")

    def wall(self):
        return START + self.clock.seconds() + self.offset

    def in_thread(self, job):
        done = defer.Deferred()
        self.jobs.append((job, done))
        return done

    def work(self):
        """Runs the queued jobs of the thread."""
        while self.jobs:
            job, done = self.jobs.pop(0)
            try:
                result = job()
            except Exception:
                done.errback()
            else:
                done.callback(result)

    def stop(self):
        stopping = defer.ensureDeferred(self.journal_writer.stop())
        self.work()
        assert stopping.called
        return stopping

    def rows(self):
        walk = JournalReader(self.directory)
        rows = [line.fields for line in walk]
        assert not walk.faults
        return rows

    def minutes(self):
        return [(row["t"][11:19], row["intake"]) for row in self.rows() if row["kind"] == "minute"]


def test_a_line_each_full_minute(tmp_path):
    bench = Bench(tmp_path)
    bench.ledger.receive_spooled("fw", 1)
    bench.clock.advance(47.4)
    bench.work()
    assert bench.minutes() == []
    bench.clock.advance(0.1)
    bench.work()
    bench.clock.advance(60)
    bench.work()
    assert bench.minutes() == [("00:01:00", "fw"), ("00:01:00", None), ("00:02:00", "fw"), ("00:02:00", None)]


def test_the_minutes_follow_a_wall_clock_that_is_set(tmp_path):
    bench = Bench(tmp_path)
    bench.clock.advance(47.5)
    bench.work()
    bench.offset = -3600 + 20
    bench.clock.advance(60)
    bench.work()
    bench.clock.advance(40)
    bench.work()
    assert [time for time, _ in bench.minutes()] == ["00:01:00", "23:02:20", "23:03:00"]


def test_accounts_are_copied_when_the_job_is_queued(tmp_path):
    bench = Bench(tmp_path)
    bench.ledger.receive_spooled("fw", 1)
    bench.ledger.receive_dropped("fw", 1, "why")
    bench.clock.advance(47.5)
    bench.ledger.receive_spooled("fw", 10)
    bench.ledger.receive_dropped("fw", 10, "why")
    bench.drops["udp"] = 9
    bench.work()
    account, gateway = bench.rows()[1:]
    assert (account["spooled"], account["dropped"], gateway["kernel_drops"]) == (1, {"why": 1}, {"udp": 0})


def test_a_busy_thread_gets_one_job_only(tmp_path):
    bench = Bench(tmp_path)
    bench.clock.advance(47.5)
    bench.clock.advance(180)
    assert len(bench.jobs) == 1
    bench.work()
    bench.clock.advance(60)
    bench.work()
    assert len(bench.minutes()) == 2


def test_moves_of_a_command_are_written_at_once_and_minutes_continue(tmp_path):
    bench = Bench(tmp_path)
    bench.ledger.replay("fw", 1)
    bench.journal_writer.write_accounts()
    bench.ledger.replay("fw", 1)
    bench.work()
    bench.clock.advance(47.5)
    bench.journal_writer.write_accounts()
    bench.work()
    assert [row["replayed"] for row in bench.rows() if row.get("intake")] == [1, 2, 2]
    bench.clock.advance(60)
    bench.work()
    assert bench.minutes()[-1] == ("00:02:00", None)
    bench.stop()
    bench.journal_writer.write_accounts()
    assert not bench.jobs


def test_stop_writes_the_last_line_and_waits_for_the_minute_before_it(tmp_path):
    bench = Bench(tmp_path)
    bench.ledger.receive_spooled("fw", 1)
    bench.clock.advance(47.5)
    bench.stop()
    assert [row["kind"] for row in bench.rows()] == ["start", "minute", "minute", "stop"]
    assert bench.rows()[-1]["accounts"]["fw"]["spooled"] == 1
    bench.clock.advance(600)
    assert not bench.jobs
    assert not bench.clock.getDelayedCalls()


def test_a_second_stop_and_a_stop_without_a_start_do_nothing(tmp_path):
    bench = Bench(tmp_path)
    bench.stop()
    bench.stop()
    assert [row["kind"] for row in bench.rows()] == ["start", "stop"]
    unused = Journal(tmp_path / "x", keep=None, wall=bench.wall)
    never = JournalWriter(unused, Ledger(), bench.in_thread, bench.clock, dict, bench.wall)
    assert defer.ensureDeferred(never.stop()).called
    assert not (tmp_path / "x").exists()


def test_a_defect_while_writing_does_not_end_the_minutes(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    seen = []

    def broken(self, accounts, drops):
        seen.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(Journal, "minute", broken)
    bench.clock.advance(47.5)
    bench.work()
    bench.clock.advance(60)
    bench.work()
    assert len(seen) == 2


def test_receipts_and_refusals_are_written_in_the_calling_thread(tmp_path):
    bench = Bench(tmp_path)
    bench.journal_writer.receipt(Receipt("fw", [(1, 1, 2)], 1, "", 200, None, None, confirmed=True))
    bench.journal_writer.refused("fw", 1, 1, "no", 2)
    assert [row["kind"] for row in bench.rows()] == ["start", "receipt", "refused"]
