"""Tests that the journal writer writes one line per full minute, of one moment, and a last line at stop."""

from twisted.internet import defer, task

from bridge.accounting import Ledger
from bridge.accounting.journal import Journal
from bridge.accounting.journal_lines import JournalReader
from bridge.spool.recovery import RecoveredSpool
from bridge.storage.journal_writer import JournalWriter
from tests.harness.builders import fail

START = 1_772_323_200 + 12.5  # 2026-03-01T00:00:12.5Z


class JournalWriterFixture:
    """A journal writer whose clocks and thread the test controls."""

    def __init__(self, directory):
        self.directory = directory / ".ledger"
        self.clock = task.Clock()
        self.offset = 0.0
        self.ledger = Ledger()
        self.drops = {"udp": 0}
        self.jobs = []
        journal = Journal(self.directory, keep=None, wall=self.wall, on_error=fail)
        self.journal_writer = JournalWriter(
            journal, self.ledger, self.run, self.clock, lambda: dict(self.drops), wall=self.wall
        )
        journal.open()
        journal.start(RecoveredSpool(), quarantined=0, version="1", config_sha256="c")
        self.journal_writer.start()

    def wall(self):
        return START + self.clock.seconds() + self.offset

    def run(self, job):
        done = defer.Deferred()
        self.jobs.append((job, done))
        return done

    def run_jobs(self):
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
        self.run_jobs()
        assert stopping.called
        return stopping

    def rows(self):
        reader = JournalReader(self.directory)
        rows = [fields for _, fields in reader]
        assert not reader.faults
        return rows

    def minutes(self):
        return [(row["t"][11:19], row["intake"]) for row in self.rows() if row["kind"] == "minute"]


def test_one_line_per_account_is_written_each_full_minute(tmp_path):
    fixture = JournalWriterFixture(tmp_path)
    fixture.ledger.receive_spooled("fw", 1)
    fixture.clock.advance(47.4)
    fixture.run_jobs()
    assert fixture.minutes() == []
    fixture.clock.advance(0.1)
    fixture.run_jobs()
    fixture.clock.advance(60)
    fixture.run_jobs()
    assert fixture.minutes() == [("00:01:00", "fw"), ("00:01:00", None), ("00:02:00", "fw"), ("00:02:00", None)]


def test_minutes_follow_a_changed_wall_clock(tmp_path):
    fixture = JournalWriterFixture(tmp_path)
    fixture.clock.advance(47.5)
    fixture.run_jobs()
    fixture.offset = -3600 + 20
    fixture.clock.advance(60)
    fixture.run_jobs()
    fixture.clock.advance(40)
    fixture.run_jobs()
    assert [time for time, _ in fixture.minutes()] == ["00:01:00", "23:02:20", "23:03:00"]


def test_accounts_are_copied_when_the_job_is_queued(tmp_path):
    fixture = JournalWriterFixture(tmp_path)
    fixture.ledger.receive_spooled("fw", 1)
    fixture.ledger.receive_dropped("fw", 1, "why")
    fixture.clock.advance(47.5)
    fixture.ledger.receive_spooled("fw", 10)
    fixture.ledger.receive_dropped("fw", 10, "why")
    fixture.drops["udp"] = 9
    fixture.run_jobs()
    account, gateway = fixture.rows()[1:]
    assert (account["spooled"], account["dropped"], gateway["kernel_drops"]) == (1, {"why": 1}, {"udp": 0})


def test_busy_thread_gets_only_one_job(tmp_path):
    fixture = JournalWriterFixture(tmp_path)
    fixture.clock.advance(47.5)
    fixture.clock.advance(180)
    assert len(fixture.jobs) == 1
    fixture.run_jobs()
    fixture.clock.advance(60)
    fixture.run_jobs()
    assert len(fixture.minutes()) == 2


def test_moves_of_a_command_are_written_at_once_and_minutes_continue(tmp_path):
    fixture = JournalWriterFixture(tmp_path)
    fixture.ledger.replay("fw", 1)
    fixture.journal_writer.write_accounts()
    fixture.ledger.replay("fw", 1)
    fixture.run_jobs()
    fixture.clock.advance(47.5)
    fixture.journal_writer.write_accounts()
    fixture.run_jobs()
    assert [row["replayed"] for row in fixture.rows() if row.get("intake")] == [1, 2, 2]
    fixture.clock.advance(60)
    fixture.run_jobs()
    assert fixture.minutes()[-1] == ("00:02:00", None)
    fixture.stop()
    fixture.journal_writer.write_accounts()
    assert not fixture.jobs


def test_stop_writes_the_last_line_and_waits_for_the_minute_before_it(tmp_path):
    fixture = JournalWriterFixture(tmp_path)
    fixture.ledger.receive_spooled("fw", 1)
    fixture.clock.advance(47.5)
    fixture.stop()
    assert [row["kind"] for row in fixture.rows()] == ["start", "minute", "minute", "stop"]
    assert fixture.rows()[-1]["accounts"]["fw"]["spooled"] == 1
    fixture.clock.advance(600)
    assert not fixture.jobs
    assert not fixture.clock.getDelayedCalls()


def test_second_stop_and_stop_without_start_do_nothing(tmp_path):
    fixture = JournalWriterFixture(tmp_path)
    fixture.stop()
    fixture.stop()
    assert [row["kind"] for row in fixture.rows()] == ["start", "stop"]
    unused = Journal(tmp_path / "x", keep=None, wall=fixture.wall, on_error=fail)
    never = JournalWriter(unused, Ledger(), fixture.run, fixture.clock, dict, fixture.wall)
    assert defer.ensureDeferred(never.stop()).called
    assert not (tmp_path / "x").exists()


def test_exception_while_writing_does_not_end_the_minutes(tmp_path, monkeypatch):
    fixture = JournalWriterFixture(tmp_path)
    calls = []

    def broken(self, accounts, drops, sources):
        calls.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(Journal, "minute", broken)
    fixture.clock.advance(47.5)
    fixture.run_jobs()
    fixture.clock.advance(60)
    fixture.run_jobs()
    assert len(calls) == 2
