"""Tests how the spool names, appends to, seals and cuts batch files."""

import errno
import fcntl
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.batching import Group
from bridge.spool import Batch, BatchLimits, Piece, Spool, SpoolError, SpoolTerms, batch_names, batch_reader
from bridge.spool.store import MANY_SEALING
from bridge.util.files import write_whole
from tests.harness.builders import build_spool

# --- names ----------------------------------------------------------------------------------------------------------

NAMES = st.builds(
    batch_names.BatchName, st.integers(0, batch_names.LAST_SEQUENCE),
    st.integers(batch_names.FIRST_MS, batch_names.LAST_MS), st.integers(1, 10**9), st.integers(10**9, 10**11),
    st.sampled_from(["open", "sealed", "sending"]), st.booleans(), st.sampled_from(batch_names.ENCODINGS),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(NAMES)
def test_batch_name_survives_writing_and_reading(name):
    if name.state == "open":
        name = name._replace(events=0, size=0)
    assert batch_names.read(str(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "1795435200000000-1795435200123-0-0.lines",  # no event
        "1795435200000000-1795435200123-9-8.lines",  # less than an LF for each event
        "1795435200000000-1795435200123-1-0.sending.lines",
        "999999999999999999999999999999-1795435200123-1-9.lines",
        f"{batch_names.LAST_SEQUENCE + 1}-1795435200123-1-9.lines",
        f"{batch_names.LAST_SEQUENCE + 1}-1795435200123.open.lines",
        f"1795435200000000-{10**18}-1-9.lines",
        f"1795435200000000-{batch_names.LAST_MS + 1}-1-9.lines",
        f"1795435200000000-{batch_names.FIRST_MS - 1}.open.lines",
    ],
)
def test_name_that_no_batch_can_have_is_foreign(name):
    assert batch_names.read(name) is None


def test_batch_names_have_the_documented_form():
    name = batch_names.BatchName(1795435200000000, 1795435200123, 3, 99, "sealed", False, "lines")
    assert str(name) == "1795435200000000-1795435200123-3-99.lines"
    assert str(name._replace(state="sending")) == "1795435200000000-1795435200123-3-99.sending.lines"
    assert str(name._replace(state="sending", timed=True, encoding="json")).endswith("-3-99.sending.timed.json")
    assert str(name._replace(state="open")) == "1795435200000000-1795435200123.open.lines"


@pytest.mark.parametrize(
    "text",
    ["", "x", "1-2.lines", "1-2-3.lines", "1-2-3-4.open.lines", "1-2.sending.lines", "1-2-3-4.text",
    "1-2-3-4.lines.gz",
     "1-2-3-4.timed.open.lines", "-1-2-3-4.lines", "1-2-3-4.lines\n", ".lines", "1-2-3-4"],
)  # fmt: skip
def test_other_names_are_not_read_as_batch_names(text):
    assert batch_names.read(text) is None


# --- appending and sealing ------------------------------------------------------------------------------------------


def test_append_writes_the_event_before_it_returns(spool_fixture):
    spool_fixture.append(b"one", b"two")
    spool_fixture.append(b"three")
    (name,) = spool_fixture.names()
    assert re.fullmatch(rf"[0-9]{{16}}-{spool_fixture.NOON_MS}\.open\.lines", name)
    assert (spool_fixture.directory / "a" / name).read_bytes() == b"one\ntwo\nthree\n"
    assert spool_fixture.sealed == []


def test_batch_is_sealed_at_max_age(spool_fixture):
    spool_fixture.append(b"one")
    spool_fixture.clocks.advance(1.9)
    spool_fixture.append(b"two")
    spool_fixture.append(b"later", slot=5)
    spool_fixture.spool.seal_due()
    assert spool_fixture.sealed == []
    spool_fixture.clocks.advance(0.1)
    spool_fixture.spool.seal_due()
    (batch,) = spool_fixture.sealed
    assert (batch.count, batch.size, batch.earliest, batch.timed, batch.sealed) == (
        2,
        8,
        spool_fixture.NOON_MS,
        False,
        102.0,
    )
    assert batch.path.read_bytes() == b"one\ntwo\n"
    assert batch.path.name == f"{batch.sequence}-{spool_fixture.NOON_MS}-2-8.lines"
    assert len(spool_fixture.names()) == 2


def test_wall_clock_steps_neither_cause_nor_delay_sealing(spool_fixture):
    spool_fixture.append(b"one")
    spool_fixture.clocks.wall += 3600
    spool_fixture.spool.seal_due()
    assert spool_fixture.sealed == []
    spool_fixture.clocks.wall -= 7200
    spool_fixture.clocks.monotonic += 2
    spool_fixture.spool.seal_due()
    assert len(spool_fixture.sealed) == 1


def test_batch_is_sealed_at_max_events(make_spool_fixture):
    spool_fixture = make_spool_fixture(max_events=3)
    spool_fixture.append(b"1", b"2")
    spool_fixture.append(b"3", b"4")
    assert [batch.count for batch in spool_fixture.sealed] == [2]
    spool_fixture.append(b"5")
    assert [batch.count for batch in spool_fixture.sealed] == [2, 3]
    spool_fixture.append(b"6", b"7", b"8", b"9", b"10", b"11", b"12")
    spool_fixture.seal()
    assert [batch.count for batch in spool_fixture.sealed] == [2, 3, 3, 3, 1]
    assert spool_fixture.events(spool_fixture.sealed) == [b"%d" % i for i in range(1, 13)]


def test_batch_is_sealed_at_max_bytes(make_spool_fixture):
    spool_fixture = make_spool_fixture(max_bytes=10)
    spool_fixture.append(b"1234")
    spool_fixture.append(b"12345")
    spool_fixture.append(b"1")
    assert [batch.size for batch in spool_fixture.sealed] == [5]
    spool_fixture.append(b"x" * 30, b"y")
    spool_fixture.seal()
    assert [batch.size for batch in spool_fixture.sealed] == [5, 8, 31, 2]


def test_open_batches_are_sealed_if_the_timestamp_resolution_changes(spool_fixture):
    spool = spool_fixture.spool
    spool_fixture.append(b"1")
    spool.change(limits=replace(spool.limits, max_events=5))
    assert not spool.idle
    spool.change(limits=replace(spool.limits, resolution_ms=5000))
    assert spool.idle
    assert spool.limits.resolution_ms == 5000


def test_callers_learn_when_batches_are_sealed(tmp_path):
    jobs = []
    spool = build_spool(tmp_path / "spool", work=lambda job, done: jobs.append((job, done)))
    calls, sealed = [], []
    spool.subscribe(sealed.append)
    spool.subscribe(lambda batch: calls.append(batch.intake))
    spool.when_idle(lambda: calls.append("idle at once"))
    for intake in "ab":
        spool.append(Group(intake, "lines", 0, 1, 1, 1, b"x\n"))
    spool.when_sealed("a", lambda: calls.append("nothing of a is being sealed"))
    spool.when_idle(lambda: calls.append("idle"))
    spool.seal_of("a")
    spool.when_sealed("a", lambda: calls.append("a is sealed"))
    spool.seal_of("b")
    for job, done in jobs:
        done(job())
    assert calls == ["idle at once", "nothing of a is being sealed", "a", "a is sealed", "b", "idle"]
    assert [batch.intake for batch in sealed] == ["a", "b"]
    spool.close()


def test_each_intake_slot_and_encoding_has_its_own_file(spool_fixture):
    spool_fixture.append(b"1", intake="a")
    spool_fixture.append(b"2", intake="b")
    spool_fixture.append(b"3", intake="a", slot=1)
    spool_fixture.append(b'"4"', intake="a", encoding="json")
    spool_fixture.spool.seal_all()
    assert spool_fixture.spool.idle
    assert [(batch.intake, spool_fixture.events([batch])) for batch in spool_fixture.sealed] == [
        ("a", [b"1"]), ("b", [b"2"]), ("a", [b"3"]), ("a", [b"4"])
    ]  # fmt: skip


def test_earliest_time_of_a_batch_is_that_of_its_earliest_event(spool_fixture):
    for ms in (700, 200, 900):
        spool_fixture.append(b"x", ms=spool_fixture.NOON_MS + ms)
    (batch,) = spool_fixture.seal()
    assert (batch.earliest, batch.latest) == (spool_fixture.NOON_MS + 200, spool_fixture.NOON_MS + 900)
    assert batch_names.read(batch.path.name).earliest == spool_fixture.NOON_MS + 200


# --- more slots than open files --------------------------------------------------------------------------------------


def test_65th_slot_goes_to_the_timed_file(spool_fixture):
    for slot in range(70):
        spool_fixture.append(b"event %d" % slot, slot=slot)
    spool_fixture.append(b"again 3", slot=3)
    spool_fixture.append(b"other", intake="b")
    assert len(spool_fixture.names()) == 65
    (timed,) = [name for name in spool_fixture.names() if ".timed." in name]
    data = (spool_fixture.directory / "a" / timed).read_bytes()
    assert data == b"".join(b"%d\tevent %d\n" % (spool_fixture.NOON_MS + slot * 1000, slot) for slot in range(64, 70))
    sealed = spool_fixture.seal()
    assert sum(batch.timed for batch in sealed) == 1
    assert sorted(spool_fixture.events(sealed)) == sorted(
        [*(b"event %d" % slot for slot in range(70)), b"again 3", b"other"]
    )


def test_events_without_a_time_open_no_timed_file(spool_fixture):
    for slot in range(64):
        spool_fixture.append(b"event", slot=slot)
    spool_fixture.append(b"no time", ms=0)
    assert not any(".timed." in name for name in spool_fixture.names())


def test_sealed_timed_file_frees_a_slot_and_does_not_mix_with_it(make_spool_fixture):
    spool_fixture = make_spool_fixture(max_slots=4, max_events=3)
    for slot in range(4):
        spool_fixture.append(b"slot %d" % slot, slot=slot)
    spool_fixture.append(b"timed 1", slot=10)
    # One slot is sealed, so four files are open with the timed file and three without it.
    spool_fixture.append(b"more", b"still more", slot=0)
    spool_fixture.append(b"timed 2", slot=11)
    spool_fixture.append(b"after 1", b"after 2", slot=12)
    sealed = spool_fixture.seal()
    for batch in sealed:
        lines = batch.path.read_bytes().split(b"\n")[:-1]
        assert all((b"\t" in line) is batch.timed for line in lines)
    assert sorted(spool_fixture.events(sealed)) == sorted(
        [b"slot 0", b"slot 1", b"slot 2", b"slot 3", b"timed 1", b"timed 2", b"more", b"still more", b"after 1",
        b"after 2"]
    )  # fmt: skip


def test_open_files_are_limited_over_all_intakes(spool_fixture):
    spool_fixture.spool._most_open = 5
    for i in range(9):
        spool_fixture.append(b"event", intake=f"i{i}")
    timed = [i for i in range(9) if any(".timed." in name for name in spool_fixture.names(f"i{i}"))]
    assert timed == [5, 6, 7, 8]


# --- cutting timed batches ------------------------------------------------------------------------------------------


def timed_batch(make_spool_fixture, rows, encoding="lines"):
    spool_fixture = make_spool_fixture(max_slots=0)
    for ms, event in rows:
        spool_fixture.append(event, ms=spool_fixture.NOON_MS + ms, encoding=encoding)
    (batch,) = spool_fixture.seal()
    assert batch.timed
    return spool_fixture, batch


def test_timed_batch_is_cut_at_slot_boundaries(make_spool_fixture):
    spool_fixture, batch = timed_batch(
        make_spool_fixture, [(5000, b"d"), (0, b"a"), (999, b"c"), (0, b"b"), (1000, b"x\ty"), (5999, b"e")]
    )
    pieces = batch_reader.cut(Piece.whole(batch), 1000, 100, 10**6)
    assert [(p.earliest - spool_fixture.NOON_MS, p.latest - spool_fixture.NOON_MS, p.count, p.size, p.start,
    p.lines) for p in pieces] == [
        (0, 999, 3, 6, 0, b"a\nb\nc\n"), (1000, 1000, 1, 4, 3, b"x\ty\n"), (5000, 5999, 2, 4, 4, b"d\ne\n"),
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=5)), min_size=1, max_size=30), st.sampled_from([100,
    1000]),
    st.integers(1, 5), st.integers(5, 40),
)  # fmt: skip
def test_cutting_any_timed_batch_loses_no_event(rows, width, max_events, max_bytes):
    rows = [(ms, event.replace(b"\n", b".")) for ms, event in rows]
    data = b"".join(b"%d\t%b\n" % row for row in rows)

    held = Batch("a", 1, "lines", True, 0, 0, len(rows), len(data), Path("/nowhere"), 0.0, held=data)
    pieces = batch_reader.cut(Piece.whole(held), width, max_events, max_bytes)
    assert b"".join(p.lines for p in pieces).split(b"\n")[:-1] == [e for _, e in sorted(rows, key=lambda row: row[0])]
    assert sum(p.count for p in pieces) == len(rows)
    for piece in pieces:
        assert piece.latest - piece.earliest < width
        assert piece.count == piece.lines.count(b"\n") <= max_events
        assert piece.size == len(piece.lines)
        assert piece.size <= max_bytes or piece.count == 1
    assert [piece.start for piece in pieces] == [sum(p.count for p in pieces[:i]) for i in range(len(pieces))]


def test_timed_batches_are_cut_at_common_slot_boundaries(make_spool_fixture):
    spool_fixture = make_spool_fixture(max_slots=0)
    noon = spool_fixture.NOON_MS
    for rows in ([(59_000, b"b"), (0, b"a"), (1000, b"x\ty")], [(1500, b"c"), (60_000, b"d")]):
        for ms, event in rows:
            spool_fixture.append(event, ms=noon + ms)
        spool_fixture.spool.seal_all()
    first, second = map(Piece.whole, spool_fixture.sealed)
    assert [
        (p.batch.sequence == first.batch.sequence, p.start, p.lines, p.times)
        for p in sorted(batch_reader.cut_together([first, second], 60_000, 100, 10**6), key=lambda piece: piece.order)
    ] == [
        (True, 0, b"a\nx\ty\nb\n", [noon, noon + 1000, noon + 59_000]), (False, 0, b"c\n", [noon + 1500]),
        (False, 1, b"d\n", [noon + 60_000]),
    ]  # fmt: skip


TIMES = st.integers(0, 9000) | st.sampled_from([0, 2000])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(TIMES, st.binary(max_size=5) | st.just(b"a\tb")), min_size=1, max_size=20), min_size=1,
        max_size=4,
    ),
    st.sampled_from([100, 1000, 60_000]), st.integers(1, 5), st.integers(5, 40), st.sampled_from([100, 1000]),
)  # fmt: skip
def test_cutting_any_timed_batches_together_loses_no_event(files, width, max_events, max_bytes, narrower):
    files = [[(ms, event.replace(b"\n", b".")) for ms, event in rows] for rows in files]
    contents = {i: b"".join(b"%d\t%b\n" % row for row in rows) for i, rows in enumerate(files)}
    batches = [
        Batch("a", i, "lines", True, 0, 0, len(files[i]), len(data), Path("/x"), 0.0, held=data)
        for i, data in contents.items()
    ]
    wide = batch_reader.cut_together([Piece.whole(batch) for batch in batches], width, max_events, max_bytes)
    # The pieces of the wider window are cut again with the narrower one.
    for pieces, within in ((wide, width), (batch_reader.cut_together(wide, narrower, max_events, max_bytes), narrower)):
        for i, rows in enumerate(files):
            own = sorted((p for p in pieces if p.batch is batches[i]), key=lambda piece: piece.order)
            assert [piece.start for piece in own] == [sum(p.count for p in own[:n]) for n in range(len(own))]
            events = [event for piece in own for event in piece.lines.split(b"\n")[:-1]]
            assert events == [event for _, event in sorted(rows, key=lambda row: row[0])]
            assert [ms for piece in own for ms in piece.times] == sorted(ms for ms, _ in rows)
        for piece in pieces:
            assert (piece.earliest, piece.latest) == (piece.times[0], piece.times[-1])
            assert piece.latest - piece.earliest < within
            assert piece.count <= max_events
            assert piece.size <= max_bytes or piece.count == 1
        windows = [piece.earliest // within for piece in sorted(pieces, key=lambda piece: piece.order)]
        assert windows == sorted(windows)


def test_timed_line_without_a_time_is_damaged(make_spool_fixture):
    _, batch = timed_batch(make_spool_fixture, [(0, b"abc")])
    batch.path.write_bytes(b"x" * (batch.size - 1) + b"\n")
    with pytest.raises(batch_reader.Damaged, match="without a time"):
        batch_reader.cut(Piece.whole(batch), 1000, 100, 10**6)


def test_invalid_json_line_is_found_before_a_timed_batch_is_cut(make_spool_fixture):
    """After cutting, its pieces could already be in several requests when the damage is found."""
    _, batch = timed_batch(make_spool_fixture, [(0, b'"a"'), (5000, b'"b"')], "json")
    batch.path.write_bytes(batch.path.read_bytes().replace(b'"b"', b'"bb'))
    with pytest.raises(batch_reader.Damaged):
        batch_reader.cut(Piece.whole(batch), 1000, 100, 10**6)


# --- reading back ---------------------------------------------------------------------------------------------------


def test_json_lines_are_decoded_to_plain_lines(spool_fixture):
    spool_fixture.append(b'"a\\nb"', b'"\\u00e9\\udcff"', encoding="json")
    (batch,) = spool_fixture.seal()
    assert batch_reader.as_plain([Piece.whole(batch)]) == b"a#012b\n\xc3\xa9\xff"


@pytest.mark.parametrize("data", [b'"a\n', b"12345\n"[:3] + b"\n", b"nul\n"])
def test_invalid_json_line_is_damaged(spool_fixture, data):
    spool_fixture.append(b'"a"', encoding="json")
    (batch,) = spool_fixture.seal()
    batch.path.write_bytes(data)
    with pytest.raises(batch_reader.Damaged):
        batch_reader.as_plain([Piece.whole(batch)])


def test_file_size_that_differs_from_its_name_is_damaged(spool_fixture):
    spool_fixture.append(b"abc")
    (batch,) = spool_fixture.seal()
    batch.path.write_bytes(b"abcd\n")
    with pytest.raises(batch_reader.Damaged, match="5 bytes, its name says 4"):
        batch_reader.content(batch)


def test_begin_sending_renames_the_file(spool_fixture):
    spool_fixture.append(b"abc")
    (batch,) = spool_fixture.seal()
    batch_reader.begin_sending(batch)
    batch_reader.begin_sending(batch)
    assert spool_fixture.names() == [batch.path.name]
    assert batch.path.name.endswith("-1-4.sending.lines")
    batch.path.unlink()
    other = batch
    other.sending = False
    with pytest.raises(batch_reader.Missing, match="the file is missing"):
        batch_reader.begin_sending(other)
    assert not other.sending


# --- sequence -------------------------------------------------------------------------------------------------------


def test_sequence_increases_when_the_clock_steps(spool_fixture):
    for step in (0, 0, 5, -3600, 0, 7200, -1):
        spool_fixture.clocks.wall += step
        spool_fixture.append(b"x")
        spool_fixture.spool.seal_all()
    sequences = [batch.sequence for batch in spool_fixture.sealed]
    assert all(a < b for a, b in pairwise(sequences))
    assert sequences[0] == spool_fixture.NOON_MS * 1000


def test_sequence_increases_after_a_restart_with_the_clock_set_back(spool_fixture):
    spool_fixture.append(b"x")
    before = spool_fixture.seal()[0].sequence
    spool_fixture.clocks.wall -= 3600
    spool_fixture.restart()
    spool_fixture.append(b"y")
    assert spool_fixture.seal()[0].sequence > before


def test_existing_file_is_never_replaced(spool_fixture):
    folder = spool_fixture.directory / "a"
    folder.mkdir()
    existing_file = folder / f"{spool_fixture.NOON_MS * 1000}-{spool_fixture.NOON_MS}.open.lines"
    existing_file.write_bytes(b"not ours\n")
    with pytest.raises(FileExistsError):
        spool_fixture.append(b"x")
    spool_fixture.append(b"x")
    assert existing_file.read_bytes() == b"not ours\n"


# --- failed writes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1, 5, 9])
def test_partial_write_is_truncated_back(spool_fixture, monkeypatch, room):
    spool_fixture.append(b"before")
    write = os.write
    remaining_bytes = [room]

    def full(descriptor, data):
        if not remaining_bytes[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, data[: remaining_bytes[0]])
        remaining_bytes[0] -= written
        return written

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        spool_fixture.append(b"lost event")
    monkeypatch.undo()
    spool_fixture.append(b"after")
    (batch,) = spool_fixture.seal()
    assert (batch.path.read_bytes(), batch.count, batch.size) == (b"before\nafter\n", 2, 13)


def test_short_writes_are_continued(tmp_path, monkeypatch):
    descriptor = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write = os.write
    monkeypatch.setattr(os, "write", lambda d, data: write(d, data[:3]))
    write_whole(descriptor, b"0123456789", 0)
    os.close(descriptor)
    assert (tmp_path / "f").read_bytes() == b"0123456789"


def test_failed_first_write_leaves_no_file(spool_fixture, monkeypatch):
    monkeypatch.setattr(os, "write", lambda d, data: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space")))
    with pytest.raises(OSError, match="No space"):
        spool_fixture.append(b"lost")
    monkeypatch.undo()
    assert spool_fixture.seal() == []
    assert spool_fixture.names() == []


def test_failed_seal_reports_an_error_and_keeps_the_events(spool_fixture, monkeypatch):
    spool_fixture.append(b"x")
    path_type = type(spool_fixture.directory)
    monkeypatch.setattr(path_type, "rename", lambda self, to: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
    assert spool_fixture.seal() == []
    monkeypatch.undo()
    assert re.fullmatch(
        r"spool: cannot seal .*\.open\.lines: I/O error; the bridge tries again", spool_fixture.errors[0]
    )
    assert spool_fixture.spool.idle
    assert spool_fixture.spool.open_amount("a") == (1, 2)
    assert spool_fixture.events(spool_fixture.restart().batches) == [b"x"]


# --- the lock -------------------------------------------------------------------------------------------------------


def test_second_owner_is_refused_with_the_process_id_of_the_first(spool_fixture):
    other = type(spool_fixture)(spool_fixture.directory)
    with pytest.raises(SpoolError, match=rf"in use by process {os.getpid()}\. Stop it"):
        other.open()
    spool_fixture.append(b"still ours")
    assert spool_fixture.spool.open_amount("a") == (1, len(b"still ours\n"))


def test_lock_of_a_killed_owner_is_free(spool_fixture, tmp_path):
    spool_fixture.crash()
    script = (
        "import os, signal, sys; from pathlib import Path; from bridge.spool import lock;"
        "lock.take(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(spool_fixture.directory)])
    assert done.returncode == -9
    spool_fixture.open()
    assert (spool_fixture.directory / "lock").read_text() == f"{os.getpid()}\n"


def test_owner_keeps_the_spool_without_its_lock_file_and_makes_it_again(spool_fixture):
    for replaced in (False, True):
        file = spool_fixture.directory / "lock"
        file.unlink()
        if replaced:
            file.touch()
        with pytest.raises(SpoolError, match="in use by process"):
            type(spool_fixture)(spool_fixture.directory).open()
        spool_fixture.spool.renew_lock()
        assert file.read_text() == f"{os.getpid()}\n"
        with pytest.raises(SpoolError, match=rf"in use by process {os.getpid()}\."):
            type(spool_fixture)(spool_fixture.directory).open()
    assert [error for error in spool_fixture.errors if "made again" in error] == spool_fixture.errors
    assert len(spool_fixture.errors) == 2
    spool_fixture.spool.renew_lock()
    assert len(spool_fixture.errors) == 2
    spool_fixture.restart()


def test_owner_continues_if_an_older_version_has_locked_a_new_lock_file(spool_fixture):
    file = spool_fixture.directory / "lock"
    file.unlink()
    with file.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        spool_fixture.spool.renew_lock()
    assert "cannot be made again" in spool_fixture.errors[0]
    spool_fixture.append(b"still ours")
    spool_fixture.spool.renew_lock()
    assert file.read_text() == f"{os.getpid()}\n"


def test_other_layout_version_is_refused(spool_fixture):
    spool_fixture.crash()
    (spool_fixture.directory / "format").write_text("2\n")
    with pytest.raises(SpoolError, match="layout version is '2', this bridge supports 1"):
        spool_fixture.open()
    (spool_fixture.directory / "format").write_text("1\n")
    spool_fixture.open()


def test_directory_that_cannot_be_created_is_named_in_the_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"spool .*/file/spool: Not a directory\. Make the directory writable"):
        Spool(
            tmp_path / "file" / "spool", SpoolTerms(BatchLimits(), {}), wall=None, clock=None, work=None, on_error=None
        )


def test_files_of_one_intake_that_cannot_be_sealed_do_not_stop_the_others(spool_fixture, monkeypatch):
    rename = Path.rename

    def refuse_bad(self, to):
        if self.parent.name == "bad":
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse_bad)
    for slot in range(MANY_SEALING):
        spool_fixture.append(b"x", intake="bad", slot=slot)
    spool_fixture.seal()
    spool_fixture.append(b"y", intake="good")
    assert [batch.intake for batch in spool_fixture.seal()] == ["good"]
    # No further file of the intake waits to be renamed.
    spool_fixture.append(b"z", intake="bad")
    spool_fixture.seal()
    assert len(spool_fixture.spool._by_age) == 1
    monkeypatch.undo()
    for _ in range(2):
        spool_fixture.clocks.advance(2)
        spool_fixture.seal()
    assert spool_fixture.spool.idle
