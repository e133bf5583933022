"""Tests the spool against a model: append, seal, send, acknowledge, pack, merge, kill, power cut, full disk, recover.

Every event has a number. An event whose append returned survives a kill. A packed event survives a power cut. An event
is delivered twice only if it was in flight at a kill, or if a power cut may have undone its removal. No event vanishes
without being counted. No event appears that was never appended.
"""

import os
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.spool import batch_reader, pack_writer
from bridge.util.files import fsync_path
from tests.harness.examples import examples
from tests.unit.spool.conftest import SpoolFixture
from tests.unit.spool.power import PowerCutSimulator


class SpoolMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        self.fixture = SpoolFixture(Path(self.folder.name) / "spool")
        self.disk_simulator = PowerCutSimulator(self.fixture.directory)
        self.disk_simulator.start()
        self.next_number = 0
        self.undelivered = set()
        "Events that were appended, and neither delivered nor lost to a power cut."
        self.packed = set()
        "Undelivered events in packs, which must survive a power cut."
        self.delivered = Counter()
        self.possible_duplicates = set()
        "Events that may be delivered again."
        self.packs, self.waiting, self.in_flight = [], [], []
        self.open()

    def open(self):
        recovered = self.fixture.open()
        self.disk_simulator.record_all()
        self.fixture.sealed = self.waiting
        self.waiting[:] = recovered.batches
        self.packs = recovered.packs
        self.in_flight = []
        return recovered

    def teardown(self):
        try:
            self.disk_simulator.writable_bytes = None
            self.kill()
            self.drain()
        finally:
            self.disk_simulator.stop()
            self.disk_simulator.reset()
            self.fixture.crash()
            self.folder.cleanup()

    def drain(self):
        """Delivers all undelivered events."""
        for pack in list(self.packs):
            self.read(pack, most=1 << 30)
        self.send(len(self.waiting) + 1)
        while self.in_flight:
            self.accept(0)
        assert not self.undelivered, f"{len(self.undelivered)} events vanished"
        assert (
            not any(Path(self.fixture.directory / "a").iterdir()) if (self.fixture.directory / "a").exists() else True
        )

    # --- operations ---------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 4), slots=st.integers(1, 5))
    def append(self, count, slots):
        for slot in range(slots):
            numbers = range(self.next_number, self.next_number + count)
            self.next_number += count
            with suppress(OSError):
                self.fixture.append(*(b"event %d" % n for n in numbers), slot=slot)
                self.undelivered.update(numbers)

    @rule()
    def seal(self):
        self.fixture.clocks.advance(0.5)
        self.fixture.spool.seal_all()

    @rule(slots=st.integers(2, 8))
    def pack_waiting_batches(self, slots):
        """Appends events during an outage of the collector, and packs the waiting batches."""
        self.append(2, slots)
        self.seal()
        loose = [batch for batch in self.waiting if batch.pack is None]
        if len(loose) > 1:
            self.pack(loose)

    @precondition(lambda self: self.waiting or self.packs)
    @rule(count=st.integers(1, 4))
    def send(self, count):
        """Starts a request with the next batches."""
        if not self.waiting and self.packs:
            self.read(self.packs[0], most=3)
        request, self.waiting[:count] = self.waiting[:count], []
        try:
            batch_reader.begin_all(request)
        except OSError:
            self.waiting[:0] = request
        else:
            if request:
                self.in_flight.append(request)

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, 5), fails=st.booleans())
    def answer(self, which, fails):
        if fails:
            self.waiting[:0] = self.in_flight.pop(which % len(self.in_flight))
        else:
            self.accept(which % len(self.in_flight))

    def accept(self, at):
        request = self.in_flight.pop(at)
        self.fixture.spool.use_archive(None)
        for batch in request:
            numbers = numbers_of(batch)
            repeated = {n for n in numbers if self.delivered[n]}
            assert repeated <= self.possible_duplicates, f"{repeated - self.possible_duplicates} delivered twice"
            self.delivered.update(numbers)
            self.undelivered -= set(numbers)
            self.packed -= set(numbers)
        self.fixture.spool.remove(request)

    def read(self, pack, *, most):
        result = pack.read(most_batches=most, most_bytes=1 << 30, sealed=0.0)
        assert not result.losses
        self.waiting += result.batches
        if result.exhausted:
            self.packs.remove(pack)

    @precondition(lambda self: len([b for b in self.waiting if b.pack is None]) > 1)
    @rule(count=st.integers(2, 10))
    def pack_some(self, count):
        self.pack([batch for batch in self.waiting if batch.pack is None][:count])

    def pack(self, chosen):
        numbers = [n for batch in chosen for n in numbers_of(batch)]
        try:
            new_pack, damaged = pack_writer.pack(chosen, self.fixture.spool.removals.failed)
        except OSError:
            return
        assert not damaged
        self.waiting = [batch for batch in self.waiting if batch not in chosen]
        self.fixture.sealed = self.waiting
        self.packs.append(new_pack)
        self.packed.update(self.undelivered & set(numbers))

    @precondition(lambda self: sum(pack.untouched for pack in self.packs) > 1)
    @rule()
    def merge_packs(self):
        chosen = [pack for pack in self.packs if pack.untouched]
        with suppress(OSError):
            new_pack = pack_writer.merge(chosen, self.fixture.errors.append)
            self.packs = [pack for pack in self.packs if pack not in chosen] + [new_pack]

    # --- faults -------------------------------------------------------------------------------------------------------

    @rule(writable_bytes=st.one_of(st.none(), st.integers(0, 400)))
    def limit_disk_space(self, writable_bytes):
        """Makes the disk full after this number of bytes, or removes the limit."""
        self.disk_simulator.writable_bytes = writable_bytes

    @rule()
    def kill(self):
        self.possible_duplicates |= {n for request in self.in_flight for batch in request for n in numbers_of(batch)}
        # The collector may have accepted a failed request: its batches stay marked as .sending and are found once.
        self.fixture.crash()
        recovered = self.open_with_room()
        assert not recovered.damaged
        assert self.recovered_numbers() == self.undelivered, "a kill lost or duplicated events"

    @rule(seed=st.integers(0, 1 << 30))
    def power_cut(self, seed):
        in_flight = {n for request in self.in_flight for batch in request for n in numbers_of(batch)}
        # Unlinks, and renames that record settled batches, are not synced, so a power cut may undo them.
        self.possible_duplicates |= in_flight | set(self.delivered)
        self.fixture.crash()
        self.disk_simulator.cut_power(random.Random(seed))
        self.open_with_room()
        for batch in list(self.waiting):
            try:
                batch_reader.content(batch)
            except batch_reader.Damaged:
                # The courier also moves damaged files aside, and counts them.
                self.fixture.spool.quarantine.move_aside(batch.path)
                self.waiting.remove(batch)
        recovered = self.recovered_numbers()
        assert self.packed <= recovered, "packed events were lost"
        assert recovered <= self.undelivered | set(self.delivered), "events that were never appended"
        self.undelivered = recovered
        self.packed = {n for n in self.packed if n in recovered}

    def open_with_room(self):
        writable_bytes, self.disk_simulator.writable_bytes = self.disk_simulator.writable_bytes, None
        try:
            return self.open()
        finally:
            self.disk_simulator.writable_bytes = writable_bytes

    def recovered_numbers(self):
        """Returns the numbers of all recovered events. Fails if one was recovered twice."""
        numbers = Counter(n for batch in self.waiting for n in numbers_of(batch))
        for pack in self.packs:
            repeated = type(pack).of_name(pack.intake, pack.directory, pack.name)
            result = repeated.read(most_batches=1 << 30, most_bytes=1 << 30, sealed=0.0)
            assert result.exhausted
            assert not result.losses
            assert sum(batch.count for batch in result.batches) == pack.count
            numbers.update(n for batch in result.batches for n in numbers_of(batch))
        assert not numbers or max(numbers.values()) == 1, "an event was recovered twice"
        return set(numbers)

    @invariant()
    def names_account_for_all_events(self):
        """Compares the event counts in the file names with the number of undelivered events."""
        waiting = sum(batch.count for batch in self.waiting) + sum(
            batch.count for request in self.in_flight for batch in request
        )
        packed = sum(pack._unread for pack in self.packs)
        assert waiting + packed + self.fixture.spool.open_amount("a")[0] == len(self.undelivered)


def numbers_of(batch):
    lines = batch_reader.content(batch).split(b"\n")[:-1]
    return [int(line[6:]) for line in lines if line.startswith(b"event ")]


SpoolMachine.TestCase.settings = settings(max_examples=examples(40, long=100), stateful_step_count=40, deadline=None)
TestModel = SpoolMachine.TestCase


def test_power_cut_simulator_keeps_what_was_synced(tmp_path):
    """Tests the simulator itself: a file survives if the file and its folder were synced, otherwise it may be lost."""
    disk_simulator = PowerCutSimulator(tmp_path)
    disk_simulator.start()
    try:
        for seed in range(20):
            for name in ("synced", "not"):
                descriptor = os.open(tmp_path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.write(descriptor, b"contents")
                if name == "synced":
                    os.fsync(descriptor)
                    fsync_path(tmp_path)
                os.close(descriptor)
            disk_simulator.cut_power(random.Random(seed))
            assert (tmp_path / "synced").read_bytes() == b"contents"
    finally:
        disk_simulator.stop()
        disk_simulator.reset()
