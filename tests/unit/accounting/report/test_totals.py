"""The report's totals against a simulated life, in which an outside recorder counts every event."""

import os
import tempfile
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.accounting import Ledger
from bridge.accounting.journal import Journal, Receipt
from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.report.process_runs import UNKNOWN
from bridge.cli.report import build_report
from bridge.spool import Batch, Pack, pack_blocks, pack_writer
from bridge.spool.pack_ranges import Ranges
from bridge.spool.recovery import RecoveredSpool
from tests.harness.examples import examples

MARCH = 1_772_323_200  # 2026-03-01T00:00:00Z
INTAKES = ("fw", "linux")


@dataclass(eq=False)
class File:
    """A sealed batch on disk. Events go in order; the poisoned ones are refused, by whichever process sends them."""

    intake: str
    sequence: int
    poisoned: list[bool]
    sending: bool = False
    done: int = 0
    "Events that the process at work has settled."
    pack: "Packed | None" = None
    sent_before: bool = False
    "It was being sent when it was packed: only the pack's contents say so."


@dataclass(eq=False)
class Packed:
    """A pack: its name says what of it is begun and settled."""

    intake: str
    files: list[File]

    def found(self, folder, left):
        """As a start finds it, whose file is there; ``left``: those that are not settled."""
        here = [file for file in self.files if file in left]
        settled, begun = Ranges(), Ranges()
        for position, file in enumerate(self.files):
            if file not in left:
                settled.add(position, position)
            elif file.sending and not file.sent_before:
                begun.add(position, position)
        entries = [
            pack_blocks.BlockEntry(file.sequence, 0, 0, len(file.poisoned), 2 * len(file.poisoned), "lines", False,
                         file.sent_before, b"x\n" * len(file.poisoned))
            for file in self.files
        ]  # fmt: skip
        made = Pack(
            self.intake, folder, first=self.files[0].sequence, last=self.files[-1].sequence, earliest=0, latest=0,
            batches=len(self.files), count=sum(len(file.poisoned) for file in here), size=1,
            doubtful=sum(len(file.poisoned) for file in here if file.sending), settled=settled, begun=begun,
        )  # fmt: skip
        folder.mkdir(exist_ok=True)
        made.path.write_bytes(b"".join(pack_writer.encode_blocks(entries)))
        return made


@dataclass
class Truth:
    """What the outside recorder counts."""

    received: Counter = field(default_factory=Counter)
    accepted: set = field(default_factory=set)
    "Events with a receipt."
    twice: Counter = field(default_factory=Counter)
    refused: set = field(default_factory=set)
    filtered: int = 0
    replayed: int = 0
    dropped: Counter = field(default_factory=Counter)
    kernel: int = 0


class World:
    """A spool, a collector, a ledger and its history."""

    def __init__(self, directory):
        self.directory = directory
        self.now = MARCH + 1.0
        self.truth = Truth()
        self.files: list[File] = []
        self.quarantine: set = set()
        self.sequence = 0
        self.starts = self.unclean = 0
        self.hidden = False
        "An event is in quarantine, but the process died before its line: only its next refusal tells."
        self.start()

    # --- the bridge's lives ------------------------------------------------------------------------------------------

    def start(self):
        self.ledger, self.kernel = Ledger(), 0
        self.journal = Journal(self.directory, keep=None, wall=lambda: self.now)
        self.unclean += self.journal.open().unclean
        self.starts += 1
        found = RecoveredSpool()
        packs = {file.pack for file in self.files if file.pack}
        found.packs = [pack.found(self.directory.parent / "packs", self.files) for pack in packs]
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
        self.unsaid = Counter()

    def stop(self):
        self.journal.stop(deepcopy(self.ledger.accounts), {"udp": self.kernel})
        self.journal.close()
        self.unsaid.clear()
        self.start()

    def kill(self, torn):
        self.journal.close()
        if torn:
            newest = max(self.directory.iterdir())
            newest.write_bytes(newest.read_bytes() + b'{"t":"2026-03-01T00:0')
        # What nobody can know: it is in no column.
        self.truth.filtered -= self.unsaid["filtered"]
        self.truth.dropped["spool_write_failed"] -= self.unsaid["dropped"]
        self.truth.received["-"] -= self.unsaid["filtered"]
        self.truth.received["fw"] -= self.unsaid["dropped"]
        self.truth.kernel -= self.unsaid["kernel"]
        if self.unsaid["evicted"]:
            self.truth.dropped["evicted"] -= self.unsaid["evicted"]
            self.truth.dropped[UNKNOWN] += self.unsaid["evicted"]
        self.start()

    def minute(self):
        self.journal.minute(deepcopy(self.ledger.accounts), {"udp": self.kernel})
        self.unsaid.clear()

    # --- what happens to events --------------------------------------------------------------------------------------

    def receive(self, intake, poisoned):
        self.sequence += 1
        self.files.append(File(intake, self.sequence, poisoned))
        self.ledger.receive_spooled(intake, len(poisoned))
        self.truth.received[intake] += len(poisoned)

    def arrive_in_quarantine(self, count):
        for _ in range(count):
            self.sequence += 1
            self.quarantine.add((self.sequence, 0))
        self.ledger.receive_quarantined(None, count)
        self.truth.received["-"] += count

    def filter(self, count):
        self.ledger.receive_filtered(count)
        self.truth.filtered += count
        self.truth.received["-"] += count
        self.unsaid["filtered"] += count

    def drop(self, count):
        self.ledger.receive_dropped("fw", count, "spool_write_failed")
        self.truth.dropped["spool_write_failed"] += count
        self.truth.received["fw"] += count
        self.unsaid["dropped"] += count

    def lose_in_kernel(self, count):
        self.kernel += count
        self.truth.kernel += count
        self.unsaid["kernel"] += count

    def evict(self):
        file = self.files.pop(0)
        left = len(file.poisoned) - file.done
        self.ledger.drop_spooled(file.intake, left, "evicted")
        self.truth.dropped["evicted"] += left
        self.unsaid["evicted"] += left

    def pack(self, intake):
        files = [file for file in self.files if file.intake == intake and not file.pack and not file.done]
        made = Packed(intake, files)
        for file in files:
            file.pack, file.sent_before = made, file.sending

    def replay(self, intake, count):
        self.sequence += 1
        self.files.append(File(intake, self.sequence, [False] * count))
        self.ledger.replay(intake, count)
        self.truth.replayed += count
        # As behind each command of an operator.
        self.minute()

    def move(self, publisher, consumer):
        busy = {file.pack for file in self.files if file.done and file.pack}
        for file in self.files:
            if file.intake == publisher and not file.done and file.pack not in busy:
                file.intake = consumer
                self.ledger.move(publisher, consumer, len(file.poisoned))
                if file.pack:
                    file.pack.intake = consumer
        self.minute()

    def send(self, sizes, die, minute_between, torn):
        """One request; ``die`` at a named point."""
        chosen = [file for file in self.files if file.intake == self.files[0].intake][: len(sizes)]
        parts = []
        for file, size in zip(chosen, sizes, strict=False):
            file.sending = True
            parts.append((file, list(range(file.done, min(file.done + size, len(file.poisoned))))))
        if die == "before the receipt":
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
            self.truth.twice[intake] += key in self.truth.accepted
            self.truth.accepted.add(key)
        for file, places in parts:
            file.done += len(places)
        # A batch whose refused events are not in quarantine is not settled.
        with_bad = {file for file, _ in bad}
        if die == "after the receipt":
            return self.kill(torn)
        self.remove(file for file, _ in parts if file not in with_bad)
        again = 0
        for _, _ in bad:
            self.ledger.quarantine(intake, 1)
        for file, at in bad:
            key = (file.sequence, at)
            held = key in self.quarantine
            self.quarantine.add(key)
            self.truth.refused.add(key)
            if die == "after quarantine":
                self.hidden = True
                return self.kill(torn)
            self.journal.refused(intake, file.sequence, 1, f"poison {at % 2}", len(file.poisoned))
            again += held
        if die == "after refusals":
            return self.kill(torn)
        self.remove(with_bad)
        if minute_between:
            self.minute()
        if again:
            self.ledger.remove_recovered_duplicates(intake, again)

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
lives = st.lists(
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


def live(directory, acts, seconds=20):
    world = World(directory)
    for act, *how in acts:
        world.now += seconds
        if act != "send" or world.files:
            getattr(world, act)(*how)
    return world


def account(world, begin=None, end=None):
    world.journal.close()
    walk = JournalReader(world.directory)
    report = build_report(walk, begin, end)
    assert not walk.faults, walk.faults
    return report


def same(report, world):
    """Every figure is what the outside recorder counted."""
    truth, total = world.truth, report.total()
    assert {name: row.received for name, row in report.rows.items() if row.received} == +truth.received
    assert total.delivered == len(truth.accepted)
    assert {name: row.twice for name, row in report.rows.items() if row.twice} == +truth.twice
    assert total.refused == sum(row.reasons.total() for row in report.rows.values())
    assert total.filtered == truth.filtered
    assert (total.replayed, total.moved) == (truth.replayed, 0)
    assert +total.dropped == +truth.dropped
    assert report.kernel_drops.total() == truth.kernel
    assert report.quarantine_end == len(world.quarantine) == total.quarantined
    assert report.quarantine_begin == total.carried == total.unexplained == 0
    assert total.held == sum(len(file.poisoned) - file.done for file in world.files)
    assert (len(report.starts), len(report.unclean)) == (world.starts, world.unclean)
    for row in report.rows.values():
        assert row.carried == 0
        assert min(row.received, row.delivered, row.twice, row.filtered, row.held, *row.dropped.values(), 0) == 0


def in_a_folder(test):
    """Runs a test with a folder of its own, without waiting for the disk."""

    def run(*given_):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(os, "fsync"):
            test(Path(folder) / "ledger", *given_)

    return run


@settings(max_examples=examples(100, long=300), deadline=None)
@given(lives, st.booleans())
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
def test_totals_equal_what_an_outside_recorder_counted(acts, drained):
    @in_a_folder
    def check(folder):
        world = live(folder, acts)
        if world.hidden or drained:
            world.drain()
        world.stop()
        report = account(world)
        same(report, world)
        assert report.total().refused == len(world.truth.refused)

    check()


@settings(max_examples=100, deadline=None)
@given(lives, st.lists(st.integers(0, 1300), min_size=1, max_size=4))
def test_neighbouring_periods_add_up(acts, bounds):
    @in_a_folder
    def check(folder):
        world = live(folder, acts)
        world.stop()
        whole = account(world)
        times = [None, *(datetime.fromtimestamp(MARCH + at, UTC) for at in sorted(set(bounds))), None]
        parts = [account(world, *pair) for pair in pairwise(times)]
        for name in ("received", "delivered", "twice", "filtered", "again", "quarantined", "refused", "receipts"):
            assert sum(getattr(part.total(), name) for part in parts) == getattr(whole.total(), name), name
        assert sum((part.total().dropped for part in parts), Counter()) == +whole.total().dropped
        assert sum(len(part.starts) for part in parts) == len(whole.starts)
        for before, after in pairwise(parts):
            assert before.total().held == after.total().carried
            assert before.quarantine_end == after.quarantine_begin
        assert parts[-1].total().held == whole.total().held

    check()


@settings(max_examples=100, deadline=None)
@given(lives)
def test_a_history_without_its_first_days_is_no_fault(acts):
    @in_a_folder
    def check(folder):
        world = live(folder, acts, seconds=3600)
        world.stop()
        if len(list(folder.iterdir())) > 1:
            min(folder.iterdir()).unlink()
        report = account(world)
        assert report.total().held == sum(len(file.poisoned) for file in world.files)

    check()


def test_an_eviction_in_the_minute_that_is_missing_has_an_unknown_reason():
    @in_a_folder
    def check(folder):
        acts = [("receive", "fw", [False] * 5), ("minute",), ("evict",), ("kill", False), ("stop",)]
        world = live(folder, acts)
        same(account(world), world)

    check()


def test_after_a_lost_line_the_receipts_since_the_last_account_count():
    @in_a_folder
    def check(folder):
        world = World(folder)
        with mock.patch.object(os, "write", side_effect=OSError(28, "No space left on device")):
            world.minute()
        world.receive("fw", [False] * 5)
        world.send([2], None, minute_between=False, torn=False)
        world.minute()
        world.send([2], "after the receipt", minute_between=False, torn=False)
        report = account(world)
        assert report.lost_lines == 2  # the group: no intake, and the gateway
        assert (report.rows["fw"].received, report.rows["fw"].delivered) == (5, 4)
        assert not any(report.rows["fw"].dropped.values())

    check()


def test_a_collector_that_took_a_part_only_leaves_a_shortfall():
    @in_a_folder
    def check(folder):
        world = World(folder)
        world.receive("fw", [False] * 5)
        world.minute()
        file = world.files.pop()
        file.sending = True
        world.ledger.deliver("fw", 3)
        world.ledger.drop_spooled("fw", 2, "collector_shortfall")
        world.journal.receipt(Receipt("fw", [(file.sequence, 5, 5)], 3, "", 200, None, None, confirmed=True))
        world.kill(torn=False)
        row = account(world).rows["fw"]
        assert (row.received, row.delivered, row.twice, row.dropped.total(), row.held) == (5, 3, 0, 2, 0)
        assert row.dropped["collector_shortfall"] == 2

    check()


def test_what_was_damaged_while_nothing_ran_is_dropped_and_what_was_touched_is_named():
    @in_a_folder
    def check(folder):
        world = World(folder)
        world.receive("fw", [False] * 5)
        world.receive("linux", [False] * 4)
        world.stop()
        world.journal.close()
        world.journal = Journal(folder, keep=None, wall=lambda: world.now)
        world.journal.open()
        batch = Batch("fw", 1, "lines", False, 0, 0, 2, 1, Path(), 0.0)
        found = RecoveredSpool(batches=[batch], damaged={"fw": 3})
        # The start before this one was clean but wrote no stop: give it one.
        world.journal.stop(deepcopy(world.ledger.accounts), {})
        world.journal.start(found, quarantined=0, version="1", config_sha256="c")
        rows = account(world).rows
        assert (rows["fw"].dropped["damaged_at_start"], rows["fw"].held, rows["fw"].unexplained) == (3, 2, 0)
        assert (rows["linux"].held, rows["linux"].unexplained) == (0, -4)

    check()


def test_what_went_to_a_shared_queue_and_is_there_again_was_received_once():
    @in_a_folder
    def check(folder):
        world = World(folder)
        world.receive("fw", [False] * 5)
        world.files[0].sending = True
        world.minute()
        for _ in range(2):
            world.ledger.hand_over("fw", 5)
            world.journal.handed("fw", 1, 5, 5)
            world.kill(torn=False)
        row = account(world).rows["fw"]
        assert (row.received, row.handed, row.again, row.held) == (5, 10, 10, 5)
        assert (row.carried, row.unexplained, row.dropped.total()) == (0, 0, 0)

    check()


def test_an_early_history_does_not_name_what_is_in_packs():
    @in_a_folder
    def check(folder):
        with mock.patch("bridge.spool.unconfirmed.carried", return_value=([], 0)):
            world = live(folder, [*PACKED, ("send", [3], None, False, False), KILL])
            world.drain()
            world.stop()
        same(account(world), world)

    check()
