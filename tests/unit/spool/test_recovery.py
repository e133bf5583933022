"""Tests what a restart recovers from the spool after every kind of stop."""

import errno
import os
from collections import Counter
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.spool import SpoolError, batch_reader, transaction
from bridge.spool.archive import Archive
from bridge.spool.quarantine_entry import QuarantineEntry
from tests.harness.builders import build_spool


def path_of(spool_fixture, name):
    return spool_fixture.directory / "a" / name


def test_open_file_is_sealed(spool_fixture):
    spool_fixture.append(b"one", b"two")
    found = spool_fixture.restart()
    (batch,) = found.batches
    assert (batch.count, batch.size, batch.earliest, batch.sending) == (2, 8, spool_fixture.NOON_MS, False)
    assert batch.latest - batch.earliest < 1000
    assert spool_fixture.names() == [batch.path.name]
    assert (found.notes, found.sending, found.damaged) == ([], {}, {})


@pytest.mark.parametrize("tail", [b"t", b"torn event without end", b"\0" * 100])
def test_torn_tail_is_cut_at_the_last_line_end(spool_fixture, tail):
    spool_fixture.append(b"one", b"two")
    with path_of(spool_fixture, spool_fixture.names()[0]).open("ab") as file:
        file.write(tail)
    found = spool_fixture.restart()
    assert spool_fixture.events(found.batches) == [b"one", b"two"]


def test_open_file_without_a_complete_line_is_removed(spool_fixture):
    spool_fixture.append(b"one")
    path_of(spool_fixture, spool_fixture.names()[0]).write_bytes(b"on")
    assert spool_fixture.restart().batches == []
    assert spool_fixture.names() == []


def test_open_timed_file_stays_timed(make_spool_fixture):
    spool_fixture = make_spool_fixture(max_slots=0)
    spool_fixture.append(b"one", slot=3)
    spool_fixture.append(b"two", slot=1)
    (batch,) = spool_fixture.restart().batches
    assert batch.timed
    assert spool_fixture.events([batch]) == [b"two", b"one"]


def test_sealed_files_are_recovered_without_reading_them(spool_fixture, monkeypatch):
    spool_fixture.append(b"one")
    spool_fixture.append(b"two", slot=1)
    spool_fixture.seal()
    before = spool_fixture.names()
    monkeypatch.setattr("bridge.spool.recovery.read_regular", None)
    found = spool_fixture.restart()
    monkeypatch.undo()
    assert [batch.path.name for batch in found.batches] == before == spool_fixture.names()
    assert spool_fixture.events(found.batches) == [b"one", b"two"]


def test_sending_batch_is_counted_as_possible_duplicates(spool_fixture):
    spool_fixture.append(b"one", b"two")
    spool_fixture.append(b"three", slot=1)
    batch_reader.begin_sending(spool_fixture.seal()[0])
    found = spool_fixture.restart()
    assert found.sending == {"a": 2}
    assert [batch.sending for batch in found.batches] == [True, False]
    assert spool_fixture.events(found.batches) == [b"one", b"two", b"three"]


@pytest.mark.parametrize("sending", [False, True])
def test_truncated_sealed_file_keeps_its_complete_lines(spool_fixture, sending):
    spool_fixture.append(b"one", b"two", b"three")
    (batch,) = spool_fixture.seal()
    if sending:
        batch_reader.begin_sending(batch)
    os.truncate(batch.path, 10)
    found = spool_fixture.restart()
    (remaining,) = found.batches
    assert (remaining.count, remaining.size, remaining.sending) == (2, 8, sending)
    assert spool_fixture.events(found.batches) == [b"one", b"two"]
    assert found.damaged == {"a": 1}
    assert "1 event lost" in found.notes[0]


def test_empty_sealed_file_is_counted_as_lost(spool_fixture):
    spool_fixture.append(b"one", b"two")
    (batch,) = spool_fixture.seal()
    os.truncate(batch.path, 0)
    found = spool_fixture.restart()
    assert (found.batches, found.damaged, spool_fixture.names()) == ([], {"a": 2}, [])


def test_foreign_files_are_quarantined_unchanged(spool_fixture):
    spool_fixture.append(b"one")
    spool_fixture.seal()
    foreign = {"notes.txt": b"x", "1-2-3-4.lines.gz": b"y", "1-2.lines": b"z"}
    for name, data in foreign.items():
        path_of(spool_fixture, name).write_bytes(data)
    (spool_fixture.directory / "a" / "1-2-3-4.lines").mkdir()
    (spool_fixture.directory / "a" / "5-6-7-8.lines").symlink_to("nowhere")
    found = spool_fixture.restart()
    assert spool_fixture.events(found.batches) == [b"one"]
    assert len(spool_fixture.names()) == 1
    assert len(found.notes) == 5
    quarantined = {
        path.name.split("-a-", 1)[1] for path in (spool_fixture.directory / ".quarantine/damaged/files").iterdir()
    }
    assert quarantined == {*foreign, "1-2-3-4.lines", "5-6-7-8.lines"}


def test_file_with_more_events_than_its_name_says_is_quarantined(spool_fixture):
    spool_fixture.append(b"one")
    (batch,) = spool_fixture.seal()
    with batch.path.open("ab") as file:
        file.write(b"another\n")
    found = spool_fixture.restart()
    assert found.batches == []
    assert [path.read_bytes() for path in (spool_fixture.directory / ".quarantine/damaged/files").iterdir()] == [
        b"one\nanother\n"
    ]


def test_rename_never_replaces_a_file(spool_fixture):
    spool_fixture.append(b"one")
    (name,) = spool_fixture.names()
    target = path_of(spool_fixture, name.replace(".open.lines", "-1-4.lines"))
    target.write_bytes(b"two\n")
    found = spool_fixture.restart()
    assert spool_fixture.events(found.batches) == [b"two"]
    assert "already exists" in found.notes[0]
    (quarantined,) = (spool_fixture.directory / ".quarantine/damaged/files").iterdir()
    assert quarantined.read_bytes() == b"one\n"


def test_batches_of_an_unconfigured_intake_are_recovered(spool_fixture):
    spool_fixture.append(b"one", intake="gone")
    spool_fixture.append(b"two", intake="a")
    found = spool_fixture.restart()
    assert {batch.intake for batch in found.batches} == {"gone", "a"}


def test_folders_that_are_not_intakes_are_ignored(spool_fixture):
    """The root of a filesystem has a lost+found folder that only root may read."""
    folder = spool_fixture.directory / "lost+found"
    folder.mkdir()
    (folder / "#12345").write_bytes(b"x")
    spool_fixture.append(b"one")
    found = spool_fixture.restart()
    assert spool_fixture.events(found.batches) == [b"one"]
    assert (found.notes, (folder / "#12345").read_bytes()) == ([], b"x")


def test_batches_of_all_intakes_are_recovered_in_sequence_order(spool_fixture):
    for i in range(6):
        spool_fixture.append(b"%d" % i, intake="cab"[i % 3], slot=i)
        spool_fixture.clocks.advance(0.001)
    assert spool_fixture.events(spool_fixture.restart().batches) == [b"%d" % i for i in range(6)]


# --- quarantine -----------------------------------------------------------------------------------------------------


def entries(count, size=10):
    return [QuarantineEntry(1, "udp", "192.0.2.7", b"%04d" % i + b"x" * (size - 4), "why") for i in range(count)]


def test_quarantine_is_counted_after_a_restart(spool_fixture):
    quarantine = spool_fixture.spool.quarantine
    assert quarantine.add("unrouted", entries(3)) == 0
    assert quarantine.add("oversize", entries(2)) == 0
    assert quarantine.counts == {"unrouted": 3, "oversize": 2}
    spool_fixture.restart()
    assert spool_fixture.spool.quarantine.counts == Counter(unrouted=3, oversize=2)
    assert spool_fixture.spool.quarantine.add("unrouted", entries(1)) == 0
    spool_fixture.spool.quarantine.close()
    spool_fixture.restart()
    assert spool_fixture.spool.quarantine.counts["unrouted"] == 4


def test_full_quarantine_drops_its_oldest_entries_and_counts_them(spool_fixture):
    spool_fixture.crash()
    spool_fixture.bounds["unrouted"] = 4000
    spool_fixture.open()
    quarantine = spool_fixture.spool.quarantine
    present = dropped = 0
    for _ in range(60):
        dropped += quarantine.add("unrouted", entries(2, 100))
        present += 2
        assert quarantine.counts["unrouted"] == present - dropped
        size = sum(path.stat().st_size for path in (spool_fixture.directory / ".quarantine/unrouted").iterdir())
        assert size <= 4000 + 4000 // 4 + 1000
    assert 0 < dropped < present
    spool_fixture.restart()
    assert spool_fixture.spool.quarantine.counts["unrouted"] == present - dropped


def test_quarantine_entry_holds_the_whole_frame(spool_fixture):
    frame = bytes(range(256))
    entry = QuarantineEntry(1_000, "udp", "192.0.2.7", frame, "no route", "a")
    import base64
    import json

    fields = json.loads(entry.line())
    assert base64.b64decode(fields.pop("frame")) == frame
    assert fields == {"received_ms": 1000, "listener": "udp", "peer": "192.0.2.7", "intake": "a", "reason": "no route"}


def test_failed_quarantine_write_is_not_counted(spool_fixture, monkeypatch):
    quarantine = spool_fixture.spool.quarantine
    monkeypatch.setattr(os, "open", lambda *a: (_ for _ in ()).throw(OSError(errno.EMFILE, "Too many open files")))
    with pytest.raises(OSError, match="Too many"):
        quarantine.add("unrouted", entries(1))
    monkeypatch.undo()
    assert quarantine.counts["unrouted"] == 0
    quarantine.close()


def test_refused_event_is_held_once(spool_fixture):
    spool_fixture.crash()
    spool_fixture.bounds["refused"] = 400
    spool_fixture.open()
    entries_to_add = [QuarantineEntry(1, "", "", b"x" * 60, "400", "a", (7, i)) for i in range(3)]
    dropped_counts = [
        spool_fixture.spool.quarantine.add_once("refused", entry) for entry in (*entries_to_add, entries_to_add[0])
    ]
    assert dropped_counts[-1] is None and None not in dropped_counts[:-1]
    assert spool_fixture.spool.quarantine.counts["refused"] == 3 - sum(filter(None, dropped_counts))
    spool_fixture.restart()
    # The size bound drops the oldest entries. An event that is still held is not added again.
    assert spool_fixture.spool.quarantine.add_once("refused", entries_to_add[2]) is None
    spool_fixture.spool.quarantine.close()


# --- any operations: each event whose append returned is there once ---------------------------------------------------


class SpoolMachine(RuleBasedStateMachine):
    """Appends, seals, sends and acknowledges batches, and kills and restarts the spool at any point."""

    fixture_type = None

    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        from pathlib import Path

        self.fixture = self.fixture_type(Path(self.folder.name) / "spool", max_slots=3, max_events=4, max_bytes=40)
        self.fixture.open()
        self.known = []
        self.expected = Counter()
        self.number = 0

    def teardown(self):
        if self.fixture.spool is not None:
            self.fixture.crash()
        self.folder.cleanup()

    def collect(self):
        self.known += self.fixture.sealed
        self.fixture.sealed.clear()

    @rule(intake=st.sampled_from("ab"), slot=st.integers(0, 6), count=st.integers(1, 6), long=st.booleans())
    def append(self, intake, slot, count, long):
        events = [b"%d%b" % (self.number + i, b"x" * 20 * long) for i in range(count)]
        self.number += count
        self.fixture.append(*events, intake=intake, slot=slot)
        self.expected.update((intake, event) for event in events)
        self.collect()

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def advance_time(self, seconds):
        self.fixture.clocks.advance(seconds)
        self.fixture.spool.seal_due()
        self.collect()

    @rule()
    def set_wall_clock_back(self):
        self.fixture.clocks.wall -= 3600

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def send(self, data):
        batch_reader.begin_sending(data.draw(st.sampled_from(self.known)))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def acknowledge(self, data):
        batch = data.draw(st.sampled_from(self.known))
        self.known.remove(batch)
        for event in self.fixture.events([batch]):
            self.expected[batch.intake, event] -= 1
        self.fixture.spool.remove([batch])

    @rule(partial_append=st.binary(max_size=5).map(lambda b: b.replace(b"\n", b"")))
    def kill(self, partial_append):
        for batch in self.fixture.spool._by_age:
            # An append that never returned.
            os.write(batch.descriptor, partial_append)
        found = self.fixture.restart()
        assert (found.notes, found.damaged) == ([], {})
        sending = Counter()
        for batch in self.known:
            if batch.sending:
                sending[batch.intake] += batch.count
        assert found.sending == dict(sending)
        self.known = found.batches
        self.check()

    def check(self):
        present = Counter((batch.intake, event) for batch in self.known for event in self.fixture.events([batch]))
        assert present == +self.expected
        assert max(present.values(), default=1) == 1
        assert sum(batch.count for batch in self.known) == present.total()

    @invariant()
    def files_match_the_known_batches(self):
        files = {path for folder in "ab" if (self.fixture.directory / folder).exists()
                 for path in (self.fixture.directory / folder).iterdir()}  # fmt: skip
        open_files = {batch.path for batch in self.fixture.spool._by_age}
        assert files == {batch.path for batch in self.known} | open_files
        for batch in self.known:
            assert batch.path.stat().st_size == batch.size
            assert batch.count <= 4


def test_any_sequence_of_operations_and_kills_keeps_each_event_once(spool_fixture):
    SpoolMachine.fixture_type = type(spool_fixture)
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(SpoolMachine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))


@pytest.mark.parametrize("name", ["..quota.json.new", "..sockets.json.new", "..node.new", ".format.new"])
def test_file_that_a_killed_process_was_replacing_is_not_foreign(spool_fixture, name):
    (spool_fixture.directory / name).write_bytes(b"{")
    assert spool_fixture.restart().notes == []


def test_foreign_file_that_cannot_be_renamed_does_not_stop_the_start(spool_fixture, monkeypatch):
    place = spool_fixture.directory / ".reserve"
    place.mkdir()

    def fail(path, target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(type(place), "rename", fail)
    (note,) = spool_fixture.restart().notes
    assert note.startswith(f"{place}: not a regular file, and cannot be renamed: Permission denied")


class TestForbiddenFolder:
    """Another user owns a folder, with mode 000."""

    @pytest.fixture
    def forbid(self, monkeypatch):
        def forbid(folder, number=errno.EACCES):
            def deny(name, *, inside_only):
                real = getattr(os, name)

                def call(path=".", *args, **options):
                    text = os.fspath(path)
                    if str(text).startswith(f"{folder}/") or (not inside_only and str(text) == str(folder)):
                        raise OSError(number, os.strerror(number), text)
                    return real(path, *args, **options)

                monkeypatch.setattr(os, name, call)

            for name, inside_only in (("stat", True), ("lstat", True), ("mkdir", True), ("listdir", False)):
                deny(name, inside_only=inside_only)

        return forbid

    @pytest.mark.parametrize("name", [".quarantine", ".archive", ".ledger"])
    def test_start_does_not_need_it(self, spool_fixture, forbid, name):
        spool_fixture.append(b"one")
        folder = spool_fixture.directory / name
        (folder / "refused").mkdir(parents=True, exist_ok=True)
        spool_fixture.crash()
        forbid(folder)
        archive = Archive(
            spool_fixture.directory / ".archive", max_size=10**9, max_age=None, wall=lambda: spool_fixture.clocks.wall,
            on_error=spool_fixture.errors.append,
        )  # fmt: skip
        spool_fixture.spool = build_spool(spool_fixture.directory, recover=False, archive=archive)
        found = spool_fixture.spool.recover()
        assert [batch.count for batch in found.batches] == [1]
        if name != ".ledger":
            assert any(str(folder) in note and "Permission denied" in note for note in found.notes)
        assert not list(spool_fixture.directory.glob(".foreign-*"))

    @pytest.mark.parametrize(
        ("number", "remedy"),
        [
            (errno.EACCES, r"Check owner and mode, .*\. Make it readable and writable for this user"),
            (errno.EIO, r"Look for disk errors in the kernel log \(dmesg\), and start the bridge again"),
        ],
    )
    def test_start_with_an_unreadable_transaction_says_what_to_do(self, spool_fixture, forbid, number, remedy):
        folder = spool_fixture.directory / ".transfer"
        folder.mkdir()
        forbid(folder, number)
        with pytest.raises(SpoolError, match=f"spool {spool_fixture.directory}: {folder}: .*{remedy}"):
            spool_fixture.restart()

    def test_error_without_a_file_name_is_complete(self, spool_fixture, monkeypatch):
        def fail(spool):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(transaction, "recover", fail)
        with pytest.raises(SpoolError) as caught:
            spool_fixture.restart()
        text = f"spool {spool_fixture.directory}: No space left on device. Free disk space, or raise the quota"
        assert str(caught.value) == text
