"""Packs: what goes in comes out, progress is in the name, damage costs a block, a kill at any point costs nothing."""

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.spool import Pack, batch_reader, pack_blocks, pack_writer
from bridge.spool.pack_ranges import Ranges


def fill(yard, count, *, events=3, first=0, size=20):
    """So many batches, sealed; their texts tell their numbers."""
    yard.spool.on_sealed = (sealed := []).append
    for i in range(first, first + count):
        yard.append(*(b"%d.%d " % (i, k) + b"x" * size for k in range(events)), slot=i)
        yard.clocks.pass_(0.001)
        yard.spool.seal_all()
    return sealed


def pack(yard, batches):
    made, apart = pack_writer.pack(batches, yard.spool.cannot_remove)
    assert apart == []
    return made


def read_all(pack, *, at_a_time=1):
    batches, losses = [], []
    for _ in range(100_000):
        fed = pack.read(most_batches=at_a_time, most_bytes=1 << 30, sealed=0.0)
        batches += fed.batches
        losses += fed.losses
        if fed.exhausted:
            return batches, losses
    raise AssertionError("no end")


def texts(batches):
    return [line for batch in batches for line in batch_reader.content(batch).split(b"\n")[:-1]]


@pytest.fixture
def many_blocks(monkeypatch):
    """Blocks of ten batches."""
    monkeypatch.setattr(pack_writer, "BLOCK", 750)


# --- what goes in comes out ------------------------------------------------------------------------------------------


def test_a_pack_takes_the_place_of_its_batches(yard, many_blocks):
    batches = fill(yard, 100)
    wanted = texts(batches)
    made = pack(yard, batches)
    assert yard.names() == [made.name]
    assert (made.count, made.batches, made.first, made.last) == (300, 100, batches[0].sequence, batches[-1].sequence)
    found, losses = read_all(made)
    assert (texts(found), losses) == (wanted, [])
    for before, after in zip(batches, found, strict=True):
        for name in ("sequence", "earliest", "latest", "count", "size", "encoding", "timed", "sending"):
            assert getattr(before, name) == getattr(after, name)


def test_zcat_reads_a_pack(yard, many_blocks):
    batches = fill(yard, 30)
    wanted = texts(batches)
    made = pack(yard, batches)
    plain = subprocess.run(["gzip", "-dc"], input=made.path.read_bytes(), capture_output=True, check=True).stdout
    assert [line for line in plain.split(b"\n") if b"." in line] == wanted


def test_what_was_being_sent_stays_doubtful_in_a_pack(yard):
    batches = fill(yard, 4)
    batch_reader.begin_sending(batches[1])
    made = pack(yard, batches)
    found = yard.restart()
    assert (found.batches, [each.name for each in found.packs], found.sending) == ([], [made.name], {"a": 3})
    assert [batch.doubtful for batch in read_all(found.packs[0])[0]] == [False, True, False, False]


def test_a_timed_and_a_json_batch_are_as_they_were(make_yard):
    yard = make_yard(max_slots=0)
    yard.append(b'"b"', slot=3, encoding="json")
    yard.append(b'"a"', slot=1, encoding="json")
    yard.append(b"plain", slot=1)
    made = pack(yard, yard.seal())
    assert yard.events(read_all(made)[0]) == [b"a", b"b", b"plain"]


def test_a_damaged_file_is_left_out(yard):
    batches = fill(yard, 3)
    batches[1].path.write_bytes(b"short\n")
    made, apart = pack_writer.pack(batches, yard.spool.cannot_remove)
    assert (made.batches, apart) == (2, [batches[1]])
    assert yard.names() == sorted([made.name, batches[1].path.name])


def test_small_packs_become_one(yard, many_blocks):
    batches = fill(yard, 60)
    wanted = texts(batches)
    small = [pack(yard, batches[i : i + 15]) for i in range(0, 60, 15)]
    assert pack_writer.mergeable(small) == (0, 4)
    made = pack_writer.merge(small, yard.errors.append)
    assert yard.names() == [made.name]
    found, losses = read_all(made)
    assert (texts(found), losses) == (wanted, [])
    assert [batch.position for batch in found] == list(range(60))


def test_what_has_been_touched_is_not_put_together(yard):
    batches = fill(yard, 64)
    small = [pack(yard, batches[i : i + 16]) for i in range(0, 64, 16)]
    small[2].read(most_batches=1, most_bytes=1, sealed=0.0)
    assert pack_writer.mergeable(small) is None


# --- progress --------------------------------------------------------------------------------------------------------


def test_progress_is_in_the_name(yard, many_blocks):
    made = pack(yard, fill(yard, 40))
    batches, _ = read_all(made)
    batch_reader.begin_all(batches[:20])
    assert yard.restart().sending == {"a": 60}
    made.settle(batches[5:15])
    (after,) = yard.restart().packs
    assert (after.count, after.doubtful) == (90, 30)
    found, losses = read_all(after)
    assert [batch.position for batch in found] == [*range(5), *range(15, 40)]
    assert [batch.position for batch in found if batch.doubtful] == [*range(5), *range(15, 20)]
    assert losses == []


def test_the_file_goes_with_the_last_batch(yard):
    made = pack(yard, fill(yard, 10))
    batches, _ = read_all(made)
    for batch in reversed(batches):
        assert len(yard.names()) == 1
        batch_reader.begin_all([batch])
        yard.spool.remove([batch])
    assert (yard.names(), yard.errors) == ([], [])


def test_a_name_that_would_be_too_long_says_less_but_nothing_wrong(yard):
    made = pack(yard, fill(yard, 300))
    batches, _ = read_all(made)
    batch_reader.begin_all(batches[::2])
    assert len(made.name) <= 255
    for batch in batches[::4]:
        made.settle([batch])
        assert len(made.name) <= 255
    (after,) = yard.restart().packs
    left = {batch.position for batch in read_all(after)[0]}
    assert left >= set(range(300)) - set(range(0, 300, 4))
    assert after.count == 3 * len(left)
    doubtful = {
        batch.position for batch in read_all(Pack.of_name("a", after.directory, after.name))[0] if batch.sending
    }
    assert doubtful >= left & set(range(0, 300, 2))
    for batch in batches:
        if batch.position % 4:
            made.settle([batch])
    assert yard.names() == []


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=30), st.integers(0, 90))
def test_ranges_are_sets(parts, probe):
    ranges, wanted = Ranges(), set()
    for first, length in parts:
        ranges.add(first, first + length)
        wanted |= set(range(first, first + length + 1))
    again = Ranges.read(str(ranges))
    assert str(again) == str(ranges)
    assert len(again) == len(wanted)
    assert (probe in again) == (probe in wanted)
    assert again.touches(probe, probe + 3) == bool(wanted & set(range(probe, probe + 4)))
    assert again.covers(probe, probe + 3) == (set(range(probe, probe + 4)) <= wanted)


def test_a_settle_that_fails_is_made_up_for_by_the_next(yard, monkeypatch):
    made = pack(yard, fill(yard, 10))
    batches, _ = read_all(made)
    path_type = type(yard.directory)
    monkeypatch.setattr(path_type, "rename", lambda self, to: (_ for _ in ()).throw(OSError(5, "I/O error")))
    yard.spool.remove(batches[:3])
    monkeypatch.undo()
    assert "I/O error" in yard.errors[0]
    yard.spool.remove(batches[3:5])
    (after,) = yard.restart().packs
    assert [batch.position for batch in read_all(after)[0]] == [5, 6, 7, 8, 9]


# --- restart ---------------------------------------------------------------------------------------------------------


def test_a_restart_reads_names_only(yard, monkeypatch):
    pack(yard, fill(yard, 100))
    fill(yard, 3, first=100)
    opened = []
    really = os.open
    monkeypatch.setattr(os, "open", lambda path, *how, **named: opened.append(str(path)) or really(path, *how, **named))
    monkeypatch.setattr(type(yard.directory), "read_bytes", None)
    monkeypatch.setattr(Pack, "entries", None)
    found = yard.restart()
    assert (len(found.packs), len(found.batches)) == (1, 3)
    assert opened == [str(yard.directory / "lock")]


def test_the_sequence_goes_on_after_a_pack(yard):
    made = pack(yard, fill(yard, 5))
    yard.clocks.wall -= 3600
    yard.restart()
    yard.append(b"x")
    assert yard.seal()[0].sequence > made.last


def test_leftovers_of_a_pack_go_and_others_in_its_range_stay(yard):
    batches = fill(yard, 6)
    kept = {batch.path: batch.path.read_bytes() for batch in batches}
    late = batches.pop(3)
    batch_reader.begin_sending(batches[0])
    made = pack(yard, batches)
    for path, data in kept.items():
        path.write_bytes(data)
    found = yard.restart()
    assert [batch.sequence for batch in found.batches] == [late.sequence]
    assert yard.names() == sorted([made.name, late.path.name])


def test_packs_that_were_put_together_go_when_the_whole_is_there(yard):
    batches = fill(yard, 64)
    small = [pack(yard, batches[i : i + 16]) for i in range(0, 64, 16)]
    kept = {each.path: each.path.read_bytes() for each in small}
    made = pack_writer.merge(small, yard.errors.append)
    for path, data in kept.items():
        path.write_bytes(data)
    assert [each.name for each in yard.restart().packs] == yard.names() == [made.name]


def test_half_a_pack_is_none(yard):
    batches = fill(yard, 3)
    (yard.directory / "a" / f"{batches[0].sequence}.packing").write_bytes(b"half")
    found = yard.restart()
    assert (len(found.batches), found.notes, found.packs) == (3, [], [])
    assert len(yard.names()) == 3


@pytest.mark.parametrize("fails", ["fsync", "write", "rename"])
def test_a_pack_that_cannot_be_written_changes_nothing(yard, monkeypatch, fails):
    batches = fill(yard, 10)
    before = yard.names()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    if fails == "rename":
        monkeypatch.setattr(type(yard.directory), "rename", full)
    else:
        monkeypatch.setattr(os, fails, full)
    with pytest.raises(OSError, match="No space"):
        pack_writer.pack(batches, yard.spool.cannot_remove)
    monkeypatch.undo()
    assert yard.names() == before


# --- damage ----------------------------------------------------------------------------------------------------------


def damaged(yard, change, *, count=100):
    """A pack of ten blocks whose bytes were changed: what is still read, what is lost."""
    batches = fill(yard, count)
    wanted = texts(batches)
    made = pack(yard, batches)
    data = bytearray(made.path.read_bytes())
    change(data)
    made.path.write_bytes(data)
    (found,) = yard.restart().packs
    read, losses = read_all(found)
    assert set(texts(read)) <= set(wanted)
    assert len(texts(read)) + sum(loss.events for loss in losses) == len(wanted)
    assert sum(batch.size for batch in read) + sum(loss.size for loss in losses) == sum(b.size for b in batches)
    for loss in losses:
        found.record_loss(loss)
    # What is lost is lost once, whatever restarts follow before the next request.
    left = yard.restart().packs
    assert [each.count for each in left] == [len(texts(read))] * bool(read)
    for each in left:
        again, said = read_all(each)
        assert texts(again) == texts(read)
        assert sum(loss.events for loss in said) == 0
    return len(texts(read)), losses


def test_a_pack_cut_in_the_middle_keeps_its_first_half(yard, many_blocks):
    read, losses = damaged(yard, lambda data: data.__delitem__(slice(len(data) // 2, None)))
    assert 120 <= read <= 150
    assert "missing" in losses[-1].what


@pytest.mark.parametrize("where", [0.001, 0.2, 0.43, 0.5, 0.77, 0.999])
def test_a_damaged_byte_costs_one_block(yard, many_blocks, where):
    def flip(data):
        data[int(len(data) * where)] ^= 0x55

    read, losses = damaged(yard, flip)
    assert 300 - 33 <= read < 300
    assert any(loss.data for loss in losses)


def test_a_header_that_is_damaged_costs_one_block(yard, many_blocks):
    def wipe(data):
        second = data.find(pack_blocks._START, 10)
        data[second : second + 30] = bytes(30)

    read, _ = damaged(yard, wipe)
    assert 300 - 33 <= read < 300


@pytest.mark.parametrize("change", [lambda d: d.clear(), lambda d: d.__setitem__(slice(0, None), bytes(len(d)))])
def test_a_pack_of_nothing_or_zeros_is_lost_and_counted(yard, many_blocks, change):
    read, losses = damaged(yard, change)
    assert read == 0
    assert sum(loss.events for loss in losses) == 300


def test_a_foreign_pack_moves_aside(yard):
    fill(yard, 1)
    (yard.directory / "a" / "holiday.pack").write_bytes(b"?")
    found = yard.restart()
    assert len(found.batches) == 1
    assert "not a batch file" in found.notes[0]


@given(st.data())
def test_any_damage_is_a_loss_and_never_more(data):
    """Whatever bytes change: what is read is what was written, and all else is counted."""
    entries = [
        pack_blocks.BlockEntry(i + 1, 0, 0, 1, 12, "lines", False, False, b"event %05d\n" % i) for i in range(40)
    ]
    whole = b"".join(pack_blocks.encode(i, entries[i : i + 8]) for i in range(0, 40, 8))
    changed = bytearray(whole)
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=5)):
        changed[at] = value
    del changed[data.draw(st.integers(0, len(whole))) :]
    descriptor = os.memfd_create("pack")
    try:
        os.write(descriptor, changed)
        offset, found = 0, []
        while block := pack_blocks.find(descriptor, offset):
            assert block.end > offset
            found += pack_blocks.decode(descriptor, block) or []
            offset = block.end
    finally:
        os.close(descriptor)
    assert all(entry in entries for entry in found)
