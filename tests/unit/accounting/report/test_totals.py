"""Compares the totals of the report with a simulated gateway that counts every event independently."""

import os
import tempfile
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.accounting import Ledger
from bridge.accounting.journal import Journal
from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.receipt import Receipt
from bridge.accounting.report.process_runs import UNKNOWN
from bridge.cli.report import build_report
from bridge.spool import Batch, Pack, pack_blocks, pack_writer
from bridge.spool.pack_name import PackName, Ranges
from bridge.spool.recovery import RecoveredSpool
from tests.harness.examples import examples

MARCH = 1_772_323_200  # 2026-03-01T00:00:00Z
INTAKES = ("fw", "linux")


@dataclass(eq=False)
class SpooledBatch:
    """A sealed batch on disk. Its events are sent in order. Poisoned events are always refused."""

    intake: str
    sequence: int
    poisoned: list[bool]
    sending: bool = False
    done: int = 0
    "Events that the current process has settled."
    pack: "SpooledPack | None" = None
    sent_before: bool = False
    "The batch was being sent when it was packed. Only the contents of the pack record this."


@dataclass(eq=False)
class SpooledPack:
    """A pack, whose name records which of its batches are begun and settled."""

    intake: str
    files: list[SpooledBatch]

    def as_recovered(self, folder, left):
        """Writes the pack and returns it as a start finds it. ``left``: the batches that are not settled."""
        unsettled = [file for file in self.files if file in left]
        places = list(enumerate(self.files))
        settled = Ranges((place, place) for place, file in places if file not in left)
        begun = Ranges(
            (place, place) for place, file in places if file in left and file.sending and not file.sent_before
        )
        entries = [
            pack_blocks.BlockEntry(file.sequence, 0, 0, len(file.poisoned), 2 * len(file.poisoned), "lines", False,
                         file.sent_before, b"x\n" * len(file.poisoned))
            for file in self.files
        ]  # fmt: skip
        name = PackName(
            first=self.files[0].sequence, last=self.files[-1].sequence, earliest=0, latest=0,
            batches=len(self.files), events=sum(len(file.poisoned) for file in unsettled), size=1,
            doubtful=sum(len(file.poisoned) for file in unsettled if file.sending), settled=settled, begun=begun,
        )  # fmt: skip
        made = Pack(self.intake, folder, name)
        folder.mkdir(exist_ok=True)
        made.path.write_bytes(b"".join(pack_writer.encode_blocks(entries)))
        return made


@dataclass
class ExpectedTotals:
    """The totals that the report must show, counted independently."""

    received: Counter = field(default_factory=Counter)
    accepted: set = field(default_factory=set)
    "Events with a receipt."
    twice: Counter = field(default_factory=Counter)
    refused: set = field(default_factory=set)
    filtered: int = 0
    replayed: int = 0
    dropped: Counter = field(default_factory=Counter)
    kernel: int = 0


class GatewaySimulation:
    """Simulates a gateway: spool, collector, ledger and journal."""

    def __init__(self, directory):
        self.directory = directory
        self.now = MARCH + 1.0
        self.expected = ExpectedTotals()
        self.files: list[SpooledBatch] = []
        self.quarantine: set = set()
        self.sequence = 0
        self.starts = self.unclean = 0
        self.unrecorded_refusal = False
        "An event is quarantined, but the process was killed before its journal line. Its next refusal records it."
        self.start()

    # --- process runs ------------------------------------------------------------------------------------------------

    def start(self):
        self.ledger, self.kernel = Ledger(), 0
        self.journal = Journal(self.directory, keep=None, wall=lambda: self.now, on_error=print)
        self.unclean += self.journal.open().unclean
        self.starts += 1
        found = RecoveredSpool()
        packs = {file.pack for file in self.files if file.pack}
        found.packs = [pack.as_recovered(self.directory.parent / "packs", self.files) for pack in packs]
        for file in self.files:
            file.done = 0
            count = len(file.poisoned)
            if not file.pack:
                batch = Batch(file.intake, file.sequence, "lines", False, 0, 0, count, 1, Path(), 0.0, file.sending)
                found.batches.append(batch)
            self.ledger.recover_spooled(file.intake, count)
            if file.sending:
                found.sending[file.intake] = found.sending.get(file.intake, 0) + count
                self.ledger.add_possible_duplicates(file.intake, count)
        self.ledger.recover_quarantined(None, len(self.quarantine))
        self.journal.start(found, quarantined=len(self.quarantine), version="1", config_sha256="c")
        self.unjournaled = Counter()

    def stop(self):
        self.journal.stop(deepcopy(self.ledger.accounts), {"udp": self.kernel})
        self.journal.close()
        self.unjournaled.clear()
        self.start()

    def kill(self, torn):
        self.journal.close()
        if torn:
            newest = max(self.directory.iterdir())
            newest.write_bytes(newest.read_bytes() + b'{"t":"2026-03-01T00:0')
        # Events since the last minute line are unknown after a kill, so no column has them.
        self.expected.filtered -= self.unjournaled["filtered"]
        self.expected.dropped["spool_write_failed"] -= self.unjournaled["dropped"]
        self.expected.received["-"] -= self.unjournaled["filtered"]
        self.expected.received["fw"] -= self.unjournaled["dropped"]
        self.expected.kernel -= self.unjournaled["kernel"]
        if self.unjournaled["evicted"]:
            self.expected.dropped["evicted"] -= self.unjournaled["evicted"]
            self.expected.dropped[UNKNOWN] += self.unjournaled["evicted"]
        self.start()

    def minute(self):
        self.journal.minute(deepcopy(self.ledger.accounts), {"udp": self.kernel})
        self.unjournaled.clear()

    # --- operations on events ---------------------------------------------------------------------------------------

    def receive(self, intake, poisoned):
        self.sequence += 1
        self.files.append(SpooledBatch(intake, self.sequence, poisoned))
        self.ledger.receive_spooled(intake, len(poisoned))
        self.expected.received[intake] += len(poisoned)

    def arrive_in_quarantine(self, count):
        for _ in range(count):
            self.sequence += 1
            self.quarantine.add((self.sequence, 0))
        self.ledger.receive_quarantined(None, count)
        self.expected.received["-"] += count

    def filter(self, count):
        self.ledger.receive_filtered(count)
        self.expected.filtered += count
        self.expected.received["-"] += count
        self.unjournaled["filtered"] += count

    def drop(self, count):
        self.ledger.receive_dropped("fw", count, "spool_write_failed")
        self.expected.dropped["spool_write_failed"] += count
        self.expected.received["fw"] += count
        self.unjournaled["dropped"] += count

    def lose_in_kernel(self, count):
        self.kernel += count
        self.expected.kernel += count
        self.unjournaled["kernel"] += count

    def evict(self):
        file = self.files.pop(0)
        left = len(file.poisoned) - file.done
        self.ledger.drop_spooled(file.intake, left, "evicted")
        self.expected.dropped["evicted"] += left
        self.unjournaled["evicted"] += left

    def pack(self, intake):
        files = [file for file in self.files if file.intake == intake and not file.pack and not file.done]
        made = SpooledPack(intake, files)
        for file in files:
            file.pack, file.sent_before = made, file.sending

    def replay(self, intake, count):
        self.sequence += 1
        self.files.append(SpooledBatch(intake, self.sequence, [False] * count))
        self.ledger.replay(intake, count)
        self.expected.replayed += count
        # An operator's command also writes a minute line.
        self.minute()

    def move(self, origin, target):
        partly_sent = {file.pack for file in self.files if file.done and file.pack}
        for file in self.files:
            if file.intake == origin and not file.done and file.pack not in partly_sent:
                file.intake = target
                self.ledger.move(origin, target, len(file.poisoned))
                if file.pack:
                    file.pack.intake = target
        self.minute()

    def send(self, sizes, killed_at, minute_between, torn):
        """Sends one request. ``killed_at`` names the point at which the process is killed, if any."""
        chosen = [file for file in self.files if file.intake == self.files[0].intake][: len(sizes)]
        parts = []
        for file, size in zip(chosen, sizes, strict=False):
            file.sending = True
            parts.append((file, list(range(file.done, min(file.done + size, len(file.poisoned))))))
        if killed_at == "before the receipt":
            return self.kill(torn)
        intake = chosen[0].intake
        good = [(file, at) for file, places in parts for at in places if not file.poisoned[at]]
        bad = [(file, at) for file, places in parts for at in places if file.poisoned[at]]
        self.ledger.deliver(intake, len(good))
        if minute_between:
            self.minute()
        batches = [(f.sequence, sum(not f.poisoned[at] for at in places), len(f.poisoned)) for f, places in parts]
        self.journal.receipt(Receipt(intake, batches, len(good), "", 200, None, None, confirmed=bool(len(good) % 2)))
        for file, at in good:
            key = (file.sequence, at)
            self.expected.twice[intake] += key in self.expected.accepted
            self.expected.accepted.add(key)
        for file, places in parts:
            file.done += len(places)
        # A batch is not settled until its refused events are quarantined.
        with_refused = {file for file, _ in bad}
        if killed_at == "after the receipt":
            return self.kill(torn)
        self.remove(file for file, _ in parts if file not in with_refused)
        already_held = 0
        for _, _ in bad:
            self.ledger.quarantine(intake, 1)
        for file, at in bad:
            key = (file.sequence, at)
            held = key in self.quarantine
            self.quarantine.add(key)
            self.expected.refused.add(key)
            if killed_at == "after quarantine":
                self.unrecorded_refusal = True
                return self.kill(torn)
            self.journal.refused(intake, file.sequence, 1, f"poison {at % 2}", len(file.poisoned))
            already_held += held
        if killed_at == "after refusals":
            return self.kill(torn)
        self.remove(with_refused)
        if minute_between:
            self.minute()
        if already_held:
            self.ledger.remove_recovered_duplicates(intake, already_held)

    def drain(self):
        while self.files:
            self.send([8], None, minute_between=False, torn=False)

    def remove(self, files):
        for file in list(files):
            if file.done >= len(file.poisoned):
                self.files.remove(file)


POINTS = ("before the receipt", "after the receipt", "after quarantine", "after refusals")
POISONED = [("receive", "fw", [True, True])]
PACKED = [("receive", "fw", [False] * 4), ("pack", "fw")]
SEND = ("send", [4], "after the receipt", False, False)
KILL = ("kill", False)
counts = st.integers(1, 5)
poison = st.lists(st.integers(0, 4).map(lambda n: n == 0), min_size=1, max_size=8)
sizes = st.lists(st.integers(1, 8), min_size=1, max_size=3)
operation_lists = st.lists(
    st.one_of(
        st.tuples(st.just("receive"), st.sampled_from(INTAKES), poison),
        st.tuples(st.just("send"), sizes, st.none() | st.sampled_from(POINTS), st.booleans(), st.booleans()),
        st.tuples(st.just("send"), sizes, st.none(), st.just(False), st.just(False)),
        st.tuples(st.just("arrive_in_quarantine"), counts),
        st.tuples(st.just("filter"), counts),
        st.tuples(st.just("drop"), counts),
        st.tuples(st.just("lose_in_kernel"), counts),
        st.tuples(st.just("pack"), st.sampled_from(INTAKES)),
        st.tuples(st.just("replay"), st.sampled_from(INTAKES), counts),
        st.tuples(st.just("move"), *map(st.just, INTAKES)),
        st.tuples(st.just("minute")),
        st.tuples(st.just("stop")),
        st.tuples(st.just("kill"), st.booleans()),
    ),
    min_size=5,
    max_size=60,
)


def run_gateway(directory, operations, seconds=20):
    gateway = GatewaySimulation(directory)
    for operation, *args in operations:
        gateway.now += seconds
        if operation != "send" or gateway.files:
            getattr(gateway, operation)(*args)
    return gateway


def build_checked_report(gateway, begin=None, end=None):
    gateway.journal.close()
    reader = JournalReader(gateway.directory)
    report = build_report(reader, begin, end)
    assert not reader.faults, reader.faults
    return report


def assert_totals(report, gateway):
    """Asserts that every figure equals the independent count."""
    expected, total = gateway.expected, report.total()
    assert {name: row.received for name, row in report.rows.items() if row.received} == +expected.received
    assert total.delivered == len(expected.accepted)
    assert {name: row.twice for name, row in report.rows.items() if row.twice} == +expected.twice
    assert total.refused == sum(row.reasons.total() for row in report.rows.values())
    assert total.filtered == expected.filtered
    assert (total.replayed, total.moved) == (expected.replayed, 0)
    assert +total.dropped == +expected.dropped
    assert report.kernel_drops.total() == expected.kernel
    assert report.quarantine_end == len(gateway.quarantine) == total.quarantined
    assert report.quarantine_begin == total.carried == total.unexplained == 0
    assert total.held == sum(len(file.poisoned) - file.done for file in gateway.files)
    assert (len(report.starts), len(report.unclean)) == (gateway.starts, gateway.unclean)
    for row in report.rows.values():
        assert row.carried == 0
        assert min(row.received, row.delivered, row.twice, row.filtered, row.held, *row.dropped.values(), 0) == 0


def in_temporary_folder(test):
    """Returns a function that runs a test in a new temporary folder, without fsync."""

    def run(*given_):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(os, "fsync"):
            test(Path(folder) / "ledger", *given_)

    return run


@settings(max_examples=examples(100, long=300), deadline=None)
@given(operation_lists, st.booleans())
@example([("receive", "fw", [False] * 4), ("send", [2], "after the receipt", True, False)], False)
@example([("receive", "fw", [True] * 4), ("send", [2], "after refusals", True, True)], False)
@example([*POISONED, ("send", [1], None, False, False), ("stop",), ("send", [1], None, True, False), KILL], False)
@example([*POISONED, ("send", [1], "after quarantine", False, False), ("send", [1], None, True, False), KILL], False)
@example([("receive", "fw", [True] * 4), *[("send", [2], "after refusals", False, False)] * 2], True)
@example([*PACKED, SEND], True)
@example([*PACKED, ("send", [2], None, False, False), KILL, ("send", [4], None, False, False)], True)
@example([*PACKED, ("send", [2], None, False, False), ("stop",)], True)
@example([*PACKED, ("send", [2], None, False, False), KILL, ("move", *INTAKES), SEND, KILL], True)
@example([*PACKED[:1], ("send", [2], "after the receipt", False, False), *PACKED[1:], KILL], True)
def test_totals_equal_independent_counts(operations, drained):
    @in_temporary_folder
    def check(folder):
        gateway = run_gateway(folder, operations)
        if gateway.unrecorded_refusal or drained:
            gateway.drain()
        gateway.stop()
        report = build_checked_report(gateway)
        assert_totals(report, gateway)
        assert report.total().refused == len(gateway.expected.refused)

    check()


@settings(max_examples=100, deadline=None)
@given(operation_lists, st.lists(st.integers(0, 1300), min_size=1, max_size=4))
def test_adjacent_periods_add_up(operations, bounds):
    @in_temporary_folder
    def check(folder):
        gateway = run_gateway(folder, operations)
        gateway.stop()
        full_report = build_checked_report(gateway)
        times = [None, *(datetime.fromtimestamp(MARCH + at, UTC) for at in sorted(set(bounds))), None]
        parts = [build_checked_report(gateway, *pair) for pair in pairwise(times)]
        for name in ("received", "delivered", "twice", "filtered", "again", "quarantined", "refused", "receipts"):
            assert sum(getattr(part.total(), name) for part in parts) == getattr(full_report.total(), name), name
        assert sum((part.total().dropped for part in parts), Counter()) == +full_report.total().dropped
        assert sum(len(part.starts) for part in parts) == len(full_report.starts)
        for before, after in pairwise(parts):
            assert before.total().held == after.total().carried
            assert before.quarantine_end == after.quarantine_begin
        assert parts[-1].total().held == full_report.total().held

    check()


@settings(max_examples=100, deadline=None)
@given(operation_lists)
def test_missing_first_days_are_not_a_fault(operations):
    @in_temporary_folder
    def check(folder):
        gateway = run_gateway(folder, operations, seconds=3600)
        gateway.stop()
        if len(list(folder.iterdir())) > 1:
            min(folder.iterdir()).unlink()
        report = build_checked_report(gateway)
        assert report.total().held == sum(len(file.poisoned) for file in gateway.files)

    check()


def test_drop_in_a_missing_minute_has_an_unknown_reason():
    @in_temporary_folder
    def check(folder):
        operations = [("receive", "fw", [False] * 5), ("minute",), ("evict",), ("kill", False), ("stop",)]
        gateway = run_gateway(folder, operations)
        assert_totals(build_checked_report(gateway), gateway)

    check()


def test_receipts_after_a_lost_minute_line_are_counted():
    @in_temporary_folder
    def check(folder):
        gateway = GatewaySimulation(folder)
        with mock.patch.object(os, "write", side_effect=OSError(28, "No space left on device")):
            gateway.minute()
        gateway.receive("fw", [False] * 5)
        gateway.send([2], None, minute_between=False, torn=False)
        gateway.minute()
        gateway.send([2], "after the receipt", minute_between=False, torn=False)
        report = build_checked_report(gateway)
        assert report.lost_lines == 2  # two lines: the account without an intake, and the gateway
        assert (report.rows["fw"].received, report.rows["fw"].delivered) == (5, 4)
        assert not any(report.rows["fw"].dropped.values())

    check()


def test_partial_acceptance_is_reported_as_a_shortfall():
    @in_temporary_folder
    def check(folder):
        gateway = GatewaySimulation(folder)
        gateway.receive("fw", [False] * 5)
        gateway.minute()
        file = gateway.files.pop()
        file.sending = True
        gateway.ledger.deliver("fw", 3)
        gateway.ledger.drop_spooled("fw", 2, "collector_shortfall")
        gateway.journal.receipt(Receipt("fw", [(file.sequence, 5, 5)], 3, "", 200, None, None, confirmed=True))
        gateway.kill(torn=False)
        row = build_checked_report(gateway).rows["fw"]
        assert (row.received, row.delivered, row.twice, row.dropped.total(), row.held) == (5, 3, 0, 2, 0)
        assert row.dropped["collector_shortfall"] == 2

    check()


def test_batch_sent_without_the_mark_of_a_sent_one_has_the_totals_of_a_marked_one():
    @in_temporary_folder
    def check(folder):
        rows = []
        for marked in (True, False):
            gateway = GatewaySimulation(folder / str(marked))
            gateway.receive("fw", [False] * 5)
            gateway.minute()
            (file,) = gateway.files
            for _ in range(2):
                file.sending = marked
                gateway.ledger.deliver("fw", 5)
                receipt = Receipt("fw", [(file.sequence, 5, 5)], 5, "", 200, None, None, confirmed=True)
                gateway.journal.receipt(receipt)
                if gateway.starts == 1:
                    gateway.kill(torn=False)
            gateway.files.clear()
            gateway.stop()
            rows.append(build_checked_report(gateway).rows["fw"])
        row = rows[1]
        assert (row.received, row.again, row.delivered, row.twice, row.held) == (5, 5, 5, 5, 0)
        assert (row.carried, row.unexplained, row.dropped.total()) == (0, 0, 0)
        assert replace(rows[0], possible=0) == row

    check()


def test_changes_to_a_stopped_spool_are_reported():
    @in_temporary_folder
    def check(folder):
        gateway = GatewaySimulation(folder)
        gateway.receive("fw", [False] * 5)
        gateway.receive("linux", [False] * 4)
        gateway.stop()
        gateway.journal.close()
        gateway.journal = Journal(folder, keep=None, wall=lambda: gateway.now, on_error=print)
        gateway.journal.open()
        batch = Batch("fw", 1, "lines", False, 0, 0, 2, 1, Path(), 0.0)
        found = RecoveredSpool(batches=[batch], damaged={"fw": 3})
        # The previous run was clean but wrote no stop line. Write it.
        gateway.journal.stop(deepcopy(gateway.ledger.accounts), {})
        gateway.journal.start(found, quarantined=0, version="1", config_sha256="c")
        rows = build_checked_report(gateway).rows
        assert (rows["fw"].dropped["damaged_at_start"], rows["fw"].held, rows["fw"].unexplained) == (3, 2, 0)
        assert (rows["linux"].held, rows["linux"].unexplained) == (0, -4)

    check()


def test_batch_returned_from_a_shared_queue_is_received_once():
    @in_temporary_folder
    def check(folder):
        gateway = GatewaySimulation(folder)
        gateway.receive("fw", [False] * 5)
        gateway.files[0].sending = True
        gateway.minute()
        for _ in range(2):
            gateway.ledger.hand_over("fw", 5)
            gateway.journal.handed("fw", 1, 5, 5)
            gateway.kill(torn=False)
        row = build_checked_report(gateway).rows["fw"]
        assert (row.received, row.handed, row.again, row.held) == (5, 10, 10, 5)
        assert (row.carried, row.unexplained, row.dropped.total()) == (0, 0, 0)

    check()


def test_older_journal_without_packed_batches_gives_correct_totals():
    @in_temporary_folder
    def check(folder):
        with mock.patch("bridge.spool.recovery.RecoveredSpool.unconfirmed", return_value=([], 0)):
            gateway = run_gateway(folder, [*PACKED, ("send", [3], None, False, False), KILL])
            gateway.drain()
            gateway.stop()
        assert_totals(build_checked_report(gateway), gateway)

    check()
