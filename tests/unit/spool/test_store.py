"""Appending and sealing: names, limits, slots, clocks."""

import errno
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.spool import (
    Batch,
    Piece,
    Spool,
    SpoolError,
    batch_names,
    batch_reader,
)
from bridge.spool.quarantine import write_whole

# --- names ----------------------------------------------------------------------------------------------------------

NAMES = st.builds(
    batch_names.BatchName, st.integers(0, 10**18), st.integers(-(10**14), 10**15),
    st.integers(0, 10**9), st.integers(0, 10**11),
    st.sampled_from(["open", "sealed", "sending"]), st.booleans(), st.sampled_from(batch_names.ENCODINGS),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(NAMES)
def test_a_name_is_read_as_written(name):
    if name.state == "open":
        name = name._replace(events=0, size=0)
    assert batch_names.read(str(name)) == name


def test_names_look_as_designed():
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
def test_other_names_are_not_ours(text):
    assert batch_names.read(text) is None


# --- appending and sealing ------------------------------------------------------------------------------------------


def test_an_event_is_in_the_file_when_append_returns(yard):
    yard.append(b"one", b"two")
    yard.append(b"three")
    (name,) = yard.names()
    assert re.fullmatch(rf"[0-9]{{16}}-{yard.NOON_MS}\.open\.lines", name)
    assert (yard.directory / "a" / name).read_bytes() == b"one\ntwo\nthree\n"
    assert yard.sealed == []


def test_sealed_by_age(yard):
    yard.append(b"one")
    yard.clocks.pass_(1.9)
    yard.append(b"two")
    yard.append(b"later", slot=5)
    yard.spool.seal_due()
    assert yard.sealed == []
    yard.clocks.pass_(0.1)
    yard.spool.seal_due()
    (batch,) = yard.sealed
    assert (batch.count, batch.size, batch.earliest, batch.timed, batch.sealed) == (2, 8, yard.NOON_MS, False, 102.0)
    assert batch.path.read_bytes() == b"one\ntwo\n"
    assert batch.path.name == f"{batch.sequence}-{yard.NOON_MS}-2-8.lines"
    assert len(yard.names()) == 2


def test_the_wall_clock_seals_nothing_and_holds_nothing_back(yard):
    yard.append(b"one")
    yard.clocks.wall += 3600
    yard.spool.seal_due()
    assert yard.sealed == []
    yard.clocks.wall -= 7200
    yard.clocks.steady += 2
    yard.spool.seal_due()
    assert len(yard.sealed) == 1


def test_sealed_by_events(make_yard):
    yard = make_yard(max_events=3)
    yard.append(b"1", b"2")
    yard.append(b"3", b"4")
    assert [batch.count for batch in yard.sealed] == [2]
    yard.append(b"5")
    assert [batch.count for batch in yard.sealed] == [2, 3]
    yard.append(b"6", b"7", b"8", b"9", b"10", b"11", b"12")
    yard.seal()
    assert [batch.count for batch in yard.sealed] == [2, 3, 3, 3, 1]
    assert yard.events(yard.sealed) == [b"%d" % i for i in range(1, 13)]


def test_sealed_by_bytes(make_yard):
    yard = make_yard(max_bytes=10)
    yard.append(b"1234")
    yard.append(b"12345")
    yard.append(b"1")
    assert [batch.size for batch in yard.sealed] == [5]
    yard.append(b"x" * 30, b"y")
    yard.seal()
    assert [batch.size for batch in yard.sealed] == [5, 8, 31, 2]


def test_groups_of_other_intakes_slots_and_encodings_have_files_of_their_own(yard):
    yard.append(b"1", intake="a")
    yard.append(b"2", intake="b")
    yard.append(b"3", intake="a", slot=1)
    yard.append(b'"4"', intake="a", encoding="json")
    yard.spool.seal_all()
    assert yard.spool.idle
    assert [(batch.intake, yard.events([batch])) for batch in yard.sealed] == [
        ("a", [b"1"]), ("b", [b"2"]), ("a", [b"3"]), ("a", [b"4"])
    ]  # fmt: skip


def test_the_header_is_the_earliest_event(yard):
    for ms in (700, 200, 900):
        yard.append(b"x", ms=yard.NOON_MS + ms)
    (batch,) = yard.seal()
    assert (batch.earliest, batch.latest) == (yard.NOON_MS + 200, yard.NOON_MS + 900)
    assert batch_names.read(batch.path.name).earliest == yard.NOON_MS + 200


# --- more slots than files ------------------------------------------------------------------------------------------


def test_the_65th_slot_goes_to_the_timed_file(yard):
    for slot in range(70):
        yard.append(b"event %d" % slot, slot=slot)
    yard.append(b"again 3", slot=3)
    yard.append(b"other", intake="b")
    assert len(yard.names()) == 65
    (timed,) = [name for name in yard.names() if ".timed." in name]
    data = (yard.directory / "a" / timed).read_bytes()
    assert data == b"".join(b"%d\tevent %d\n" % (yard.NOON_MS + slot * 1000, slot) for slot in range(64, 70))
    sealed = yard.seal()
    assert sum(batch.timed for batch in sealed) == 1
    assert sorted(yard.events(sealed)) == sorted([*(b"event %d" % slot for slot in range(70)), b"again 3", b"other"])


def test_events_without_a_time_need_no_timed_file(yard):
    for slot in range(64):
        yard.append(b"event", slot=slot)
    yard.append(b"no time", ms=0)
    assert not any(".timed." in name for name in yard.names())


def test_a_full_timed_file_makes_room_for_a_slot_and_is_not_mixed_up_with_it(make_yard):
    yard = make_yard(max_slots=4, max_events=3)
    for slot in range(4):
        yard.append(b"slot %d" % slot, slot=slot)
    yard.append(b"timed 1", slot=10)
    # One slot is sealed: with the timed file there are four, without it three.
    yard.append(b"more", b"still more", slot=0)
    yard.append(b"timed 2", slot=11)
    yard.append(b"after 1", b"after 2", slot=12)
    sealed = yard.seal()
    for batch in sealed:
        lines = batch.path.read_bytes().split(b"\n")[:-1]
        assert all((b"\t" in line) is batch.timed for line in lines)
    assert sorted(yard.events(sealed)) == sorted(
        [b"slot 0", b"slot 1", b"slot 2", b"slot 3", b"timed 1", b"timed 2", b"more", b"still more", b"after 1",
        b"after 2"]
    )  # fmt: skip


def test_few_files_at_once_whatever_the_number_of_intakes(yard):
    yard.spool._most_open = 5
    for i in range(9):
        yard.append(b"event", intake=f"i{i}")
    timed = [i for i in range(9) if any(".timed." in name for name in yard.names(f"i{i}"))]
    assert timed == [5, 6, 7, 8]


# --- timed batches are cut ------------------------------------------------------------------------------------------


def timed_batch(make_yard, rows, encoding="lines"):
    yard = make_yard(max_slots=0)
    for ms, event in rows:
        yard.append(event, ms=yard.NOON_MS + ms, encoding=encoding)
    (batch,) = yard.seal()
    assert batch.timed
    return yard, batch


def test_cut_by_time(make_yard):
    yard, batch = timed_batch(
        make_yard, [(5000, b"d"), (0, b"a"), (999, b"c"), (0, b"b"), (1000, b"x\ty"), (5999, b"e")]
    )
    pieces = batch_reader.cut(Piece.whole(batch), 1000, 100, 10**6)
    assert [(p.earliest - yard.NOON_MS, p.latest - yard.NOON_MS, p.count, p.size, p.start,
    p.lines) for p in pieces] == [
        (0, 999, 3, 6, 0, b"a\nb\nc\n"), (1000, 1000, 1, 4, 3, b"x\ty\n"), (5000, 5999, 2, 4, 4, b"d\ne\n"),
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=5)), min_size=1, max_size=30), st.sampled_from([100,
    1000]),
    st.integers(1, 5), st.integers(5, 40),
)  # fmt: skip
def test_any_timed_batch_is_cut_without_loss(rows, width, max_events, max_bytes):
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


def test_timed_batches_are_cut_together(make_yard):
    yard = make_yard(max_slots=0)
    noon = yard.NOON_MS
    for rows in ([(59_000, b"b"), (0, b"a"), (1000, b"x\ty")], [(1500, b"c"), (60_000, b"d")]):
        for ms, event in rows:
            yard.append(event, ms=noon + ms)
        yard.spool.seal_all()
    one, two = map(Piece.whole, yard.sealed)
    assert [
        (p.batch.sequence == one.batch.sequence, p.start, p.lines, p.times)
        for p in sorted(batch_reader.cut_together([one, two], 60_000, 100, 10**6), key=lambda piece: piece.order)
    ] == [
        (True, 0, b"a\nx\ty\nb\n", [noon, noon + 1000, noon + 59_000]), (False, 0, b"c\n", [noon + 1500]),
        (False, 1, b"d\n", [noon + 60_000]),
    ]  # fmt: skip


MOMENTS = st.integers(0, 9000) | st.sampled_from([0, 2000])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(MOMENTS, st.binary(max_size=5) | st.just(b"a\tb")), min_size=1, max_size=20), min_size=1,
        max_size=4,
    ),
    st.sampled_from([100, 1000, 60_000]), st.integers(1, 5), st.integers(5, 40), st.sampled_from([100, 1000]),
)  # fmt: skip
def test_any_timed_batches_are_cut_together_without_loss(files, width, max_events, max_bytes, narrower):
    files = [[(ms, event.replace(b"\n", b".")) for ms, event in rows] for rows in files]
    contents = {i: b"".join(b"%d\t%b\n" % row for row in rows) for i, rows in enumerate(files)}
    batches = [
        Batch("a", i, "lines", True, 0, 0, len(files[i]), len(data), Path("/x"), 0.0, held=data)
        for i, data in contents.items()
    ]
    wide = batch_reader.cut_together([Piece.whole(one) for one in batches], width, max_events, max_bytes)
    # What was cut when times might lie further apart is cut once more.
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


def test_a_timed_line_without_a_time_is_damage(make_yard):
    _, batch = timed_batch(make_yard, [(0, b"abc")])
    batch.path.write_bytes(b"x" * (batch.size - 1) + b"\n")
    with pytest.raises(batch_reader.Damaged, match="without a time"):
        batch_reader.cut(Piece.whole(batch), 1000, 100, 10**6)


def test_a_timed_json_line_that_is_none_is_found_before_the_batch_is_cut(make_yard):
    """Its pieces would be in several requests when one of them turns out to be damaged."""
    _, batch = timed_batch(make_yard, [(0, b'"a"'), (5000, b'"b"')], "json")
    batch.path.write_bytes(batch.path.read_bytes().replace(b'"b"', b'"bb'))
    with pytest.raises(batch_reader.Damaged):
        batch_reader.cut(Piece.whole(batch), 1000, 100, 10**6)


# --- reading back ---------------------------------------------------------------------------------------------------


def test_json_lines_become_plain_ones(yard):
    yard.append(b'"a\\nb"', b'"\\u00e9\\udcff"', encoding="json")
    (batch,) = yard.seal()
    assert batch_reader.as_plain([Piece.whole(batch)]) == b"a#012b\n\xc3\xa9\xff"


@pytest.mark.parametrize("data", [b'"a\n', b"12345\n"[:3] + b"\n", b"nul\n"])
def test_what_is_no_json_line_is_damage(yard, data):
    yard.append(b'"a"', encoding="json")
    (batch,) = yard.seal()
    batch.path.write_bytes(data)
    with pytest.raises(batch_reader.Damaged):
        batch_reader.as_plain([Piece.whole(batch)])


def test_a_file_that_has_another_size_than_its_name_is_damage(yard):
    yard.append(b"abc")
    (batch,) = yard.seal()
    batch.path.write_bytes(b"abcd\n")
    with pytest.raises(batch_reader.Damaged, match="5 bytes, its name says 4"):
        batch_reader.content(batch)


def test_sending_is_a_rename(yard):
    yard.append(b"abc")
    (batch,) = yard.seal()
    batch_reader.begin_sending(batch)
    batch_reader.begin_sending(batch)
    assert yard.names() == [batch.path.name]
    assert batch.path.name.endswith("-1-4.sending.lines")
    batch.path.unlink()
    other = batch
    other.sending = False
    with pytest.raises(batch_reader.Missing, match="the file is missing"):
        batch_reader.begin_sending(other)
    assert not other.sending


# --- sequence -------------------------------------------------------------------------------------------------------


def test_the_sequence_only_rises(yard):
    for step in (0, 0, 5, -3600, 0, 7200, -1):
        yard.clocks.wall += step
        yard.append(b"x")
        yard.spool.seal_all()
    sequences = [batch.sequence for batch in yard.sealed]
    assert all(a < b for a, b in pairwise(sequences))
    assert sequences[0] == yard.NOON_MS * 1000


def test_the_sequence_rises_over_a_restart_with_a_clock_set_back(yard):
    yard.append(b"x")
    before = yard.seal()[0].sequence
    yard.clocks.wall -= 3600
    yard.restart()
    yard.append(b"y")
    assert yard.seal()[0].sequence > before


def test_a_file_that_is_there_is_never_replaced(yard):
    folder = yard.directory / "a"
    folder.mkdir()
    taken = folder / f"{yard.NOON_MS * 1000}-{yard.NOON_MS}.open.lines"
    taken.write_bytes(b"not ours\n")
    with pytest.raises(FileExistsError):
        yard.append(b"x")
    yard.append(b"x")
    assert taken.read_bytes() == b"not ours\n"


# --- writes that fail -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1, 5, 9])
def test_a_write_that_stops_in_the_middle_is_taken_back(yard, monkeypatch, room):
    yard.append(b"before")
    write = os.write
    left = [room]

    def full(descriptor, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, data[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        yard.append(b"lost event")
    monkeypatch.undo()
    yard.append(b"after")
    (batch,) = yard.seal()
    assert (batch.path.read_bytes(), batch.count, batch.size) == (b"before\nafter\n", 2, 13)


def test_writes_that_are_short_go_on(tmp_path, monkeypatch):
    descriptor = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write = os.write
    monkeypatch.setattr(os, "write", lambda d, data: write(d, data[:3]))
    write_whole(descriptor, b"0123456789", 0)
    os.close(descriptor)
    assert (tmp_path / "f").read_bytes() == b"0123456789"


def test_a_file_that_could_not_be_begun_leaves_nothing(yard, monkeypatch):
    monkeypatch.setattr(os, "write", lambda d, data: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space")))
    with pytest.raises(OSError, match="No space"):
        yard.append(b"lost")
    monkeypatch.undo()
    assert yard.seal() == []
    assert yard.names() == []


def test_a_seal_that_fails_says_so_and_keeps_the_events(yard, monkeypatch):
    yard.append(b"x")
    path_type = type(yard.directory)
    monkeypatch.setattr(path_type, "rename", lambda self, to: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
    assert yard.seal() == []
    monkeypatch.undo()
    assert re.fullmatch(r"spool: cannot seal .*\.open\.lines: I/O error; the bridge tries again", yard.errors[0])
    assert yard.spool.idle
    assert yard.spool.open_amount("a") == (1, 2)
    assert yard.events(yard.restart().batches) == [b"x"]


# --- the lock -------------------------------------------------------------------------------------------------------


def test_a_second_owner_is_refused_and_told_who_has_it(yard):
    other = type(yard)(yard.directory)
    with pytest.raises(SpoolError, match=rf"in use by process {os.getpid()}\. Stop it"):
        other.open()
    assert yard.append(b"still ours") is None


def test_the_lock_of_a_dead_owner_is_free(yard, tmp_path):
    yard.crash()
    script = (
        "import os, signal, sys; from pathlib import Path; from bridge.spool import lock;"
        "lock.take(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(yard.directory)])
    assert done.returncode == -9
    yard.open()
    assert (yard.directory / "lock").read_text() == f"{os.getpid()}\n"


def test_a_layout_of_another_version_is_refused(yard):
    yard.crash()
    (yard.directory / "format").write_text("2\n")
    with pytest.raises(SpoolError, match="layout version is '2', this bridge supports 1"):
        yard.open()
    (yard.directory / "format").write_text("1\n")
    yard.open()


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"spool .*/file/spool: Not a directory\. Make the directory writable"):
        Spool(tmp_path / "file" / "spool", limits=None, wall=None, clock=None, work=None, bounds={})
