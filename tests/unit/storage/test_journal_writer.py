"""The recorder: a line each full minute, of one moment, and a stop that is the last line."""

from twisted.internet import defer, task

from bridge.accounting import Ledger
from bridge.accounting.journal import Journal, Receipt
from bridge.accounting.journal_lines import JournalReader
from bridge.spool.recovery import RecoveredSpool
from bridge.storage.journal_writer import JournalWriter

START = 1_772_323_200 + 12.5  # 2026-03-01T00:00:12.5Z


class Bench:
    """A recorder whose clocks and thread the test moves."""

    def __init__(self, directory):
        self.directory = directory / ".ledger"
        self.clock = task.Clock()
        self.ahead = 0.0
        self.ledger = Ledger()
        self.drops = {"udp": 0}
        self.jobs = []
        journal = Journal(self.directory, keep=None, wall=self.wall)
        self.journal_writer = JournalWriter(
            journal, self.ledger, self.in_thread, self.clock, lambda: dict(self.drops), wall=self.wall
        )
        self.journal_writer.start(RecoveredSpool(), quarantined=0, config_sha256="c")

    def wall(self):
        return START + self.clock.seconds() + self.ahead

    def in_thread(self, job):
        done = defer.Deferred()
        self.jobs.append((job, done))
        return done

    def work(self):
        """The thread does what it has been given."""
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


def test_a_wall_clock_that_is_set_is_followed(tmp_path):
    bench = Bench(tmp_path)
    bench.clock.advance(47.5)
    bench.work()
    bench.ahead = -3600 + 20
    bench.clock.advance(60)
    bench.work()
    bench.clock.advance(40)
    bench.work()
    assert [time for time, _ in bench.minutes()] == ["00:01:00", "23:02:20", "23:03:00"]


def test_the_accounts_are_those_of_the_moment_not_of_the_writing(tmp_path):
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


def test_a_thread_that_is_busy_for_minutes_is_given_one_group(tmp_path):
    bench = Bench(tmp_path)
    bench.clock.advance(47.5)
    bench.clock.advance(180)
    assert len(bench.jobs) == 1
    bench.work()
    bench.clock.advance(60)
    bench.work()
    assert len(bench.minutes()) == 2


def test_what_a_command_has_moved_is_written_at_once_and_the_minutes_go_on(tmp_path):
    bench = Bench(tmp_path)
    bench.ledger.replay("fw", 1)
    bench.journal_writer.account()
    bench.ledger.replay("fw", 1)
    bench.work()
    bench.clock.advance(47.5)
    bench.journal_writer.account()
    bench.work()
    assert [row["replayed"] for row in bench.rows() if row.get("intake")] == [1, 2, 2]
    bench.clock.advance(60)
    bench.work()
    assert bench.minutes()[-1] == ("00:02:00", None)
    bench.stop()
    bench.journal_writer.account()
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


def test_receipts_and_refusals_are_written_where_they_are_called(tmp_path):
    bench = Bench(tmp_path)
    bench.journal_writer.receipt(Receipt("fw", [(1, 1, 2)], 1, "", 200, None, None, confirmed=True))
    bench.journal_writer.refused("fw", 1, 1, "no", 2)
    assert [row["kind"] for row in bench.rows()] == ["start", "receipt", "refused"]
