"""What a restart finds, after every kind of stop."""

import errno
import os
from collections import Counter
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.spool import batch_reader
from bridge.spool.quarantine import QuarantineEntry


def path_of(yard, name):
    return yard.directory / "a" / name


def test_an_open_file_is_sealed(yard):
    yard.append(b"one", b"two")
    found = yard.restart()
    (batch,) = found.batches
    assert (batch.count, batch.size, batch.earliest, batch.sending) == (2, 8, yard.NOON_MS, False)
    assert batch.latest - batch.earliest < 1000
    assert yard.names() == [batch.path.name]
    assert (found.notes, found.sending, found.damaged) == ([], {}, {})
    assert found.sequence == batch.sequence


@pytest.mark.parametrize("tail", [b"t", b"torn event without end", b"\0" * 100])
def test_a_torn_tail_is_cut(yard, tail):
    yard.append(b"one", b"two")
    with path_of(yard, yard.names()[0]).open("ab") as file:
        file.write(tail)
    found = yard.restart()
    assert yard.events(found.batches) == [b"one", b"two"]


def test_an_open_file_without_a_whole_line_is_none(yard):
    yard.append(b"one")
    path_of(yard, yard.names()[0]).write_bytes(b"on")
    assert yard.restart().batches == []
    assert yard.names() == []


def test_an_open_timed_file_stays_timed(make_yard):
    yard = make_yard(max_slots=0)
    yard.append(b"one", slot=3)
    yard.append(b"two", slot=1)
    (batch,) = yard.restart().batches
    assert batch.timed
    assert yard.events([batch]) == [b"two", b"one"]


def test_sealed_files_are_found_by_name_alone(yard, monkeypatch):
    yard.append(b"one")
    yard.append(b"two", slot=1)
    yard.seal()
    before = yard.names()
    monkeypatch.setattr(type(yard.directory), "read_bytes", None)
    found = yard.restart()
    monkeypatch.undo()
    assert [batch.path.name for batch in found.batches] == before == yard.names()
    assert yard.events(found.batches) == [b"one", b"two"]


def test_what_was_being_sent_may_come_twice(yard):
    yard.append(b"one", b"two")
    yard.append(b"three", slot=1)
    batch_reader.begin_sending(yard.seal()[0])
    found = yard.restart()
    assert found.sending == {"a": 2}
    assert [batch.sending for batch in found.batches] == [True, False]
    assert yard.events(found.batches) == [b"one", b"two", b"three"]


@pytest.mark.parametrize("sending", [False, True])
def test_a_sealed_file_that_was_cut_keeps_its_whole_lines(yard, sending):
    yard.append(b"one", b"two", b"three")
    (batch,) = yard.seal()
    if sending:
        batch_reader.begin_sending(batch)
    os.truncate(batch.path, 10)
    found = yard.restart()
    (left,) = found.batches
    assert (left.count, left.size, left.sending) == (2, 8, sending)
    assert yard.events(found.batches) == [b"one", b"two"]
    assert found.damaged == {"a": 1}
    assert "1 events are lost" in found.notes[0]


def test_a_sealed_file_that_is_empty_is_lost_and_counted(yard):
    yard.append(b"one", b"two")
    (batch,) = yard.seal()
    os.truncate(batch.path, 0)
    found = yard.restart()
    assert (found.batches, found.damaged, yard.names()) == ([], {"a": 2}, [])


def test_foreign_files_move_aside_whole(yard):
    yard.append(b"one")
    yard.seal()
    foreign = {"notes.txt": b"x", "1-2-3-4.lines.gz": b"y", "1-2.lines": b"z"}
    for name, data in foreign.items():
        path_of(yard, name).write_bytes(data)
    (yard.directory / "a" / "1-2-3-4.lines").mkdir()
    (yard.directory / "a" / "5-6-7-8.lines").symlink_to("nowhere")
    found = yard.restart()
    assert yard.events(found.batches) == [b"one"]
    assert len(yard.names()) == 1
    assert len(found.notes) == 5
    aside = {path.name.split("-a-", 1)[1] for path in (yard.directory / ".quarantine/damaged/files").iterdir()}
    assert aside == {*foreign, "1-2-3-4.lines", "5-6-7-8.lines"}


def test_a_file_with_more_events_than_its_name_says_is_not_ours(yard):
    yard.append(b"one")
    (batch,) = yard.seal()
    with batch.path.open("ab") as file:
        file.write(b"another\n")
    found = yard.restart()
    assert found.batches == []
    assert [path.read_bytes() for path in (yard.directory / ".quarantine/damaged/files").iterdir()] == [
        b"one\nanother\n"
    ]


def test_a_rename_never_replaces(yard):
    yard.append(b"one")
    (name,) = yard.names()
    target = path_of(yard, name.replace(".open.lines", "-1-4.lines"))
    target.write_bytes(b"two\n")
    found = yard.restart()
    assert yard.events(found.batches) == [b"two"]
    assert "already exists" in found.notes[0]
    (aside,) = (yard.directory / ".quarantine/damaged/files").iterdir()
    assert aside.read_bytes() == b"one\n"


def test_the_directory_of_an_intake_that_is_not_configured_any_more(yard):
    yard.append(b"one", intake="gone")
    yard.append(b"two", intake="a")
    found = yard.restart()
    assert {batch.intake for batch in found.batches} == {"gone", "a"}


def test_folders_that_are_no_intakes_are_left_alone(yard):
    """A spool that is a filesystem of its own has a lost+found that only root may read."""
    folder = yard.directory / "lost+found"
    folder.mkdir()
    (folder / "#12345").write_bytes(b"x")
    yard.append(b"one")
    found = yard.restart()
    assert yard.events(found.batches) == [b"one"]
    assert (found.notes, (folder / "#12345").read_bytes()) == ([], b"x")


def test_batches_come_in_sequence_whatever_their_intake(yard):
    for i in range(6):
        yard.append(b"%d" % i, intake="cab"[i % 3], slot=i)
        yard.clocks.pass_(0.001)
    assert yard.events(yard.restart().batches) == [b"%d" % i for i in range(6)]


# --- quarantine -----------------------------------------------------------------------------------------------------


def entries(count, size=10):
    return [QuarantineEntry(1, "udp", "192.0.2.7", b"%04d" % i + b"x" * (size - 4), "why") for i in range(count)]


def test_quarantine_is_counted_again_after_any_stop(yard):
    quarantine = yard.spool.quarantine
    assert quarantine.add("unrouted", entries(3)) == 0
    assert quarantine.add("oversize", entries(2)) == 0
    assert quarantine.counts == {"unrouted": 3, "oversize": 2}
    yard.restart()
    assert yard.spool.quarantine.counts == Counter(unrouted=3, oversize=2)
    assert yard.spool.quarantine.add("unrouted", entries(1)) == 0
    yard.spool.quarantine.close()
    yard.restart()
    assert yard.spool.quarantine.counts["unrouted"] == 4


def test_quarantine_loses_its_oldest_and_says_how_many(yard):
    yard.crash()
    yard.bounds["unrouted"] = 4000
    yard.open()
    quarantine = yard.spool.quarantine
    held = dropped = 0
    for _ in range(60):
        dropped += quarantine.add("unrouted", entries(2, 100))
        held += 2
        assert quarantine.counts["unrouted"] == held - dropped
        size = sum(path.stat().st_size for path in (yard.directory / ".quarantine/unrouted").iterdir())
        assert size <= 4000 + 4000 // 4 + 1000
    assert 0 < dropped < held
    yard.restart()
    assert yard.spool.quarantine.counts["unrouted"] == held - dropped


def test_quarantine_holds_whole_frames(yard):
    frame = bytes(range(256))
    entry = QuarantineEntry(1_000, "udp", "192.0.2.7", frame, "no route", "a")
    import base64
    import json

    fields = json.loads(entry.line())
    assert base64.b64decode(fields.pop("frame")) == frame
    assert fields == {"received_ms": 1000, "listener": "udp", "peer": "192.0.2.7", "intake": "a", "reason": "no route"}


def test_quarantine_that_cannot_be_written_holds_nothing(yard, monkeypatch):
    quarantine = yard.spool.quarantine
    monkeypatch.setattr(os, "open", lambda *a: (_ for _ in ()).throw(OSError(errno.EMFILE, "Too many open files")))
    with pytest.raises(OSError, match="Too many"):
        quarantine.add("unrouted", entries(1))
    monkeypatch.undo()
    assert quarantine.counts["unrouted"] == 0
    quarantine.close()


def test_a_refused_event_is_held_once(yard):
    yard.crash()
    yard.bounds["refused"] = 400
    yard.open()
    made = [QuarantineEntry(1, "", "", b"x" * 60, "400", "a", (7, i)) for i in range(3)]
    gone = [yard.spool.quarantine.add_once("refused", entry) for entry in (*made, made[0])]
    assert gone[-1] is None and None not in gone[:-1]
    assert yard.spool.quarantine.counts["refused"] == 3 - sum(filter(None, gone))
    yard.restart()
    # The bound lets the oldest go; an event that is still held is not held twice.
    assert yard.spool.quarantine.add_once("refused", made[2]) is None
    yard.spool.quarantine.close()


# --- any life: what append returned from is there, once -------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """Appends, seals, sends, acknowledges, is killed at any point, and starts again."""

    yard_type = None

    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        from pathlib import Path

        self.yard = self.yard_type(Path(self.folder.name) / "spool", max_slots=3, max_events=4, max_bytes=40)
        self.yard.open()
        self.known = []
        self.expected = Counter()
        self.number = 0

    def teardown(self):
        if self.yard.spool is not None:
            self.yard.crash()
        self.folder.cleanup()

    def collect(self):
        self.known += self.yard.sealed
        self.yard.sealed.clear()

    @rule(intake=st.sampled_from("ab"), slot=st.integers(0, 6), count=st.integers(1, 6), long=st.booleans())
    def append(self, intake, slot, count, long):
        events = [b"%d%b" % (self.number + i, b"x" * 20 * long) for i in range(count)]
        self.number += count
        self.yard.append(*events, intake=intake, slot=slot)
        self.expected.update((intake, event) for event in events)
        self.collect()

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def time_passes(self, seconds):
        self.yard.clocks.pass_(seconds)
        self.yard.spool.seal_due()
        self.collect()

    @rule()
    def the_wall_clock_is_set_back(self):
        self.yard.clocks.wall -= 3600

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def send(self, data):
        batch_reader.begin_sending(data.draw(st.sampled_from(self.known)))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def acknowledge(self, data):
        batch = data.draw(st.sampled_from(self.known))
        self.known.remove(batch)
        for event in self.yard.events([batch]):
            self.expected[batch.intake, event] -= 1
        self.yard.spool.remove([batch])

    @rule(torn=st.binary(max_size=5).map(lambda b: b.replace(b"\n", b"")))
    def kill(self, torn):
        for batch in self.yard.spool._by_age:
            # An append that never returned.
            os.write(batch.descriptor, torn)
        found = self.yard.restart()
        assert (found.notes, found.damaged) == ([], {})
        sending = Counter()
        for batch in self.known:
            if batch.sending:
                sending[batch.intake] += batch.count
        assert found.sending == dict(sending)
        self.known = found.batches
        self.check()

    def check(self):
        held = Counter((batch.intake, event) for batch in self.known for event in self.yard.events([batch]))
        assert held == +self.expected
        assert max(held.values(), default=1) == 1
        assert sum(batch.count for batch in self.known) == held.total()

    @invariant()
    def names_are_the_truth(self):
        files = {path for folder in "ab" if (self.yard.directory / folder).exists()
                 for path in (self.yard.directory / folder).iterdir()}  # fmt: skip
        open_files = {batch.path for batch in self.yard.spool._by_age}
        assert files == {batch.path for batch in self.known} | open_files
        for batch in self.known:
            assert batch.path.stat().st_size == batch.size
            assert batch.count <= 4


def test_any_life(yard):
    Life.yard_type = type(yard)
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Life, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))
