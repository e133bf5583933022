"""The spool against its model: append, seal, send, acknowledge, pack, merge, kill, power cut, full disk, recover.

Every event has a number. What must hold: what an append returned for survives a kill; what is packed survives a power
cut; nothing is delivered twice but what was in flight at a kill or may have gone back at a power cut; nothing vanishes
without being counted; and nobody sees an event that was never appended.
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
from tests.harness.examples import examples
from tests.unit.spool.conftest import Yard
from tests.unit.spool.power import Power


class Life(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        self.yard = Yard(Path(self.folder.name) / "spool")
        self.power = Power(self.yard.directory)
        self.power.on()
        self.number = 0
        self.owed = set()
        "Appended, and neither delivered nor lost to a power cut."
        self.safe = set()
        "Of these, packed: a power cut must leave them."
        self.delivered = Counter()
        self.double = set()
        "May be delivered again."
        self.packs, self.loose, self.flight = [], [], []
        self.open()

    def open(self):
        found = self.yard.open()
        self.power.settle()
        self.yard.spool.on_sealed = self.loose.append
        self.loose[:] = found.batches
        self.packs = found.packs
        self.flight = []
        return found

    def teardown(self):
        try:
            self.power.room = None
            self.kill()
            self.drain()
        finally:
            self.power.off()
            self.power.forget()
            self.yard.crash()
            self.folder.cleanup()

    def drain(self):
        """Everything that is owed is delivered."""
        for pack in list(self.packs):
            self.read(pack, most=1 << 30)
        self.send(len(self.loose) + 1)
        while self.flight:
            self.accept(0)
        assert not self.owed, f"{len(self.owed)} events vanished"
        assert not any(Path(self.yard.directory / "a").iterdir()) if (self.yard.directory / "a").exists() else True

    # --- what a bridge does -------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 4), slots=st.integers(1, 5))
    def append(self, count, slots):
        for slot in range(slots):
            numbers = range(self.number, self.number + count)
            self.number += count
            with suppress(OSError):
                self.yard.append(*(b"event %d" % n for n in numbers), slot=slot)
                self.owed.update(numbers)

    @rule()
    def seal(self):
        self.yard.clocks.pass_(0.5)
        self.yard.spool.seal_all()

    @rule(slots=st.integers(2, 8))
    def outage(self, slots):
        """A while in which nothing can be sent, and what waits is packed."""
        self.append(2, slots)
        self.seal()
        loose = [batch for batch in self.loose if batch.pack is None]
        if len(loose) > 1:
            self.pack(loose)

    @precondition(lambda self: self.loose or self.packs)
    @rule(count=st.integers(1, 4))
    def send(self, count):
        """A request takes the next batches."""
        if not self.loose and self.packs:
            self.read(self.packs[0], most=3)
        taken, self.loose[:count] = self.loose[:count], []
        try:
            batch_reader.begin_all(taken)
        except OSError:
            self.loose[:0] = taken
        else:
            if taken:
                self.flight.append(taken)

    @precondition(lambda self: self.flight)
    @rule(which=st.integers(0, 5), fails=st.booleans())
    def answer(self, which, fails):
        if fails:
            self.loose[:0] = self.flight.pop(which % len(self.flight))
        else:
            self.accept(which % len(self.flight))

    def accept(self, at):
        taken = self.flight.pop(at)
        self.yard.spool.archive = None
        for batch in taken:
            numbers = numbers_of(batch)
            again = {n for n in numbers if self.delivered[n]}
            assert again <= self.double, f"{again - self.double} delivered twice"
            self.delivered.update(numbers)
            self.owed -= set(numbers)
            self.safe -= set(numbers)
        self.yard.spool.remove(taken)

    def read(self, pack, *, most):
        fed = pack.read(most_batches=most, most_bytes=1 << 30, sealed=0.0)
        assert not fed.losses
        self.loose += fed.batches
        if fed.exhausted:
            self.packs.remove(pack)

    @precondition(lambda self: len([b for b in self.loose if b.pack is None]) > 1)
    @rule(count=st.integers(2, 10))
    def pack_some(self, count):
        self.pack([batch for batch in self.loose if batch.pack is None][:count])

    def pack(self, chosen):
        numbers = [n for batch in chosen for n in numbers_of(batch)]
        try:
            made, apart = pack_writer.pack(chosen, self.yard.spool.cannot_remove)
        except OSError:
            return
        assert not apart
        self.loose = [batch for batch in self.loose if batch not in chosen]
        self.yard.spool.on_sealed = self.loose.append
        self.packs.append(made)
        self.safe.update(self.owed & set(numbers))

    @precondition(lambda self: sum(pack.untouched for pack in self.packs) > 1)
    @rule()
    def put_together(self):
        chosen = [pack for pack in self.packs if pack.untouched]
        with suppress(OSError):
            made = pack_writer.merge(chosen, self.yard.errors.append)
            self.packs = [pack for pack in self.packs if pack not in chosen] + [made]

    # --- what happens to it -------------------------------------------------------------------------------------------

    @rule(room=st.one_of(st.none(), st.integers(0, 400)))
    def disk(self, room):
        """It is full, or soon, or has room again."""
        self.power.room = room

    @rule()
    def kill(self):
        self.double |= {n for taken in self.flight for batch in taken for n in numbers_of(batch)}
        # What failed may have been taken by the collector: it keeps its mark, and comes once.
        self.yard.crash()
        found = self.open_with_room()
        assert not found.damaged
        assert self.found() == self.owed, "a kill lost or doubled something"

    @rule(seed=st.integers(0, 1 << 30))
    def power_cut(self, seed):
        in_flight = {n for taken in self.flight for batch in taken for n in numbers_of(batch)}
        # Renames that record what is settled are not synced, and neither are unlinks: it may come back.
        self.double |= in_flight | set(self.delivered)
        self.yard.crash()
        self.power.cut(random.Random(seed))
        self.open_with_room()
        for batch in list(self.loose):
            try:
                batch_reader.content(batch)
            except batch_reader.Damaged:
                # As the courier does; it counts them.
                self.yard.spool.quarantine.move_aside(batch.path)
                self.loose.remove(batch)
        found = self.found()
        assert self.safe <= found, "packed events are gone"
        assert found <= self.owed | set(self.delivered), "events that nobody appended"
        self.owed = found
        self.safe = {n for n in self.safe if n in found}

    def open_with_room(self):
        room, self.power.room = self.power.room, None
        try:
            return self.open()
        finally:
            self.power.room = room

    def found(self):
        """The numbers of all events that recovery has found, each once."""
        numbers = Counter(n for batch in self.loose for n in numbers_of(batch))
        for pack in self.packs:
            again = type(pack).of_name(pack.intake, pack.directory, pack.name)
            fed = again.read(most_batches=1 << 30, most_bytes=1 << 30, sealed=0.0)
            assert fed.exhausted
            assert not fed.losses
            assert sum(batch.count for batch in fed.batches) == pack.count
            numbers.update(n for batch in fed.batches for n in numbers_of(batch))
        assert not numbers or max(numbers.values()) == 1, "one event is there twice"
        return set(numbers)

    @invariant()
    def names_tell_all(self):
        """The sums of the names are what is owed, whatever has happened."""
        waiting = sum(batch.count for batch in self.loose) + sum(
            batch.count for taken in self.flight for batch in taken
        )
        packed = sum(pack._unread for pack in self.packs)
        assert waiting + packed + self.yard.spool.open_amount("a")[0] == len(self.owed)


def numbers_of(batch):
    lines = batch_reader.content(batch).split(b"\n")[:-1]
    return [int(line[6:]) for line in lines if line.startswith(b"event ")]


Life.TestCase.settings = settings(max_examples=examples(40, long=100), stateful_step_count=40, deadline=None)
TestModel = Life.TestCase


def test_the_power_layer_keeps_what_was_synced(tmp_path):
    """The layer itself: without fsync a file may go, with fsync of file and folder it stays."""
    power = Power(tmp_path)
    power.on()
    try:
        for seed in range(20):
            for name in ("synced", "not"):
                descriptor = os.open(tmp_path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.write(descriptor, b"contents")
                if name == "synced":
                    os.fsync(descriptor)
                    pack_writer.sync(tmp_path)
                os.close(descriptor)
            power.cut(random.Random(seed))
            assert (tmp_path / "synced").read_bytes() == b"contents"
    finally:
        power.off()
        power.forget()
