"""Tests that packs return their batches, record progress in their names, and survive damage and restarts."""

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.spool import Pack, batch_reader, pack_blocks, pack_writer
from bridge.spool.pack_name import Ranges


def fill(spool_fixture, count, *, events=3, first=0, size=20):
    """Seals this number of batches, whose events contain the batch number. Returns the batches."""
    spool_fixture.sealed = sealed = []
    for i in range(first, first + count):
        spool_fixture.append(*(b"%d.%d " % (i, k) + b"x" * size for k in range(events)), slot=i)
        spool_fixture.clocks.advance(0.001)
        spool_fixture.spool.seal_all()
    return sealed


def pack(spool_fixture, batches):
    new_pack, damaged = pack_writer.pack(batches, spool_fixture.spool.removals.failed)
    assert damaged == []
    return new_pack


def read_all(pack, *, at_a_time=1):
    batches, losses = [], []
    for _ in range(100_000):
        result = pack.read(most_batches=at_a_time, most_bytes=1 << 30, sealed=0.0)
        batches += result.batches
        losses += result.losses
        if result.exhausted:
            return batches, losses
    raise AssertionError("the pack was not exhausted after 100,000 reads")


def texts(batches):
    return [line for batch in batches for line in batch_reader.content(batch).split(b"\n")[:-1]]


@pytest.fixture
def many_blocks(monkeypatch):
    """Writes blocks of ten batches."""
    monkeypatch.setattr(pack_writer, "BLOCK", 750)


# --- writing and reading ---------------------------------------------------------------------------------------------


def test_pack_replaces_its_batches(spool_fixture, many_blocks):
    batches = fill(spool_fixture, 100)
    expected = texts(batches)
    new_pack = pack(spool_fixture, batches)
    assert spool_fixture.names() == [new_pack.name]
    assert (new_pack.count, new_pack.batches, new_pack.first, new_pack.last) == (
        300,
        100,
        batches[0].sequence,
        batches[-1].sequence,
    )
    found, losses = read_all(new_pack)
    assert (texts(found), losses) == (expected, [])
    for before, after in zip(batches, found, strict=True):
        for name in ("sequence", "earliest", "latest", "count", "size", "encoding", "timed", "sending"):
            assert getattr(before, name) == getattr(after, name)


def test_zcat_reads_a_pack(spool_fixture, many_blocks):
    batches = fill(spool_fixture, 30)
    expected = texts(batches)
    new_pack = pack(spool_fixture, batches)
    plain = subprocess.run(["gzip", "-dc"], input=new_pack.path.read_bytes(), capture_output=True, check=True).stdout
    assert [line for line in plain.split(b"\n") if b"." in line] == expected


def test_sending_batch_is_a_possible_duplicate_in_its_pack(spool_fixture):
    batches = fill(spool_fixture, 4)
    batch_reader.begin_sending(batches[1])
    new_pack = pack(spool_fixture, batches)
    found = spool_fixture.restart()
    assert (found.batches, [each.name for each in found.packs], found.sending) == ([], [new_pack.name], {"a": 3})
    assert [batch.doubtful for batch in read_all(found.packs[0])[0]] == [False, True, False, False]


def test_timed_and_json_batches_are_unchanged_in_a_pack(make_spool_fixture):
    spool_fixture = make_spool_fixture(max_slots=0)
    spool_fixture.append(b'"b"', slot=3, encoding="json")
    spool_fixture.append(b'"a"', slot=1, encoding="json")
    spool_fixture.append(b"plain", slot=1)
    new_pack = pack(spool_fixture, spool_fixture.seal())
    assert spool_fixture.events(read_all(new_pack)[0]) == [b"a", b"b", b"plain"]


def test_damaged_file_is_not_packed(spool_fixture):
    batches = fill(spool_fixture, 3)
    batches[1].path.write_bytes(b"short\n")
    new_pack, damaged = pack_writer.pack(batches, spool_fixture.spool.removals.failed)
    assert (new_pack.batches, damaged) == (2, [batches[1]])
    assert spool_fixture.names() == sorted([new_pack.name, batches[1].path.name])


def test_small_packs_are_merged(spool_fixture, many_blocks):
    batches = fill(spool_fixture, 60)
    expected = texts(batches)
    small = [pack(spool_fixture, batches[i : i + 15]) for i in range(0, 60, 15)]
    assert pack_writer.mergeable(small) == (0, 4)
    new_pack = pack_writer.merge(small, spool_fixture.errors.append)
    assert spool_fixture.names() == [new_pack.name]
    found, losses = read_all(new_pack)
    assert (texts(found), losses) == (expected, [])
    assert [batch.position for batch in found] == list(range(60))


def test_packs_that_were_read_are_not_merged(spool_fixture):
    batches = fill(spool_fixture, 64)
    small = [pack(spool_fixture, batches[i : i + 16]) for i in range(0, 64, 16)]
    small[2].read(most_batches=1, most_bytes=1, sealed=0.0)
    assert pack_writer.mergeable(small) is None


# --- progress --------------------------------------------------------------------------------------------------------


def test_pack_name_records_begun_and_settled_batches(spool_fixture, many_blocks):
    new_pack = pack(spool_fixture, fill(spool_fixture, 40))
    batches, _ = read_all(new_pack)
    batch_reader.begin_all(batches[:20])
    assert spool_fixture.restart().sending == {"a": 60}
    new_pack.settle(batches[5:15])
    (after,) = spool_fixture.restart().packs
    assert (after.count, after.progress.doubtful) == (90, 30)
    found, losses = read_all(after)
    assert [batch.position for batch in found] == [*range(5), *range(15, 40)]
    assert [batch.position for batch in found if batch.doubtful] == [*range(5), *range(15, 20)]
    assert losses == []


def test_batches_of_an_earlier_process_are_counted_when_they_are_sent_again(spool_fixture, many_blocks):
    """They may be read while another batch of the pack is in flight, whose events the name counts."""
    new_pack = pack(spool_fixture, fill(spool_fixture, 40))
    first, _ = read_all(new_pack)
    new_pack.begin(first)
    new_pack.end(first)
    again = Pack.of_name("a", new_pack.directory, new_pack.name)
    in_flight = again.read(most_batches=1, most_bytes=1, sealed=0.0).batches
    again.begin(in_flight)
    late = again.read(most_batches=1, most_bytes=1, sealed=0.0).batches
    assert not any(batch.sending for batch in late)
    again.begin(late)
    assert again.progress.doubtful == sum(batch.count for batch in (*in_flight, *late))
    again.settle(late)
    again.settle(in_flight)
    assert again.progress.doubtful == 0


def test_possible_duplicates_that_no_start_has_counted_are_not_counted_twice(spool_fixture, many_blocks):
    new_pack = pack(spool_fixture, fill(spool_fixture, 40))
    new_pack.begin(new_pack.read(most_batches=1, most_bytes=1, sealed=0.0).batches)
    again = Pack.of_name("a", new_pack.directory, new_pack.name)
    carried = again.read(most_batches=1, most_bytes=1, sealed=0.0).batches
    again.begin(carried)
    assert again.progress.doubtful == sum(batch.count for batch in carried)
    again.counted()
    again.settle(carried)
    assert again.progress.doubtful == 0, "never negative"
    assert Pack.of_name("a", again.directory, again.name) is not None


def test_pack_is_removed_with_its_last_batch(spool_fixture):
    new_pack = pack(spool_fixture, fill(spool_fixture, 10))
    batches, _ = read_all(new_pack)
    for batch in reversed(batches):
        assert len(spool_fixture.names()) == 1
        batch_reader.begin_all([batch])
        spool_fixture.spool.remove([batch])
    assert (spool_fixture.names(), spool_fixture.errors) == ([], [])


def test_name_at_its_length_limit_settles_less_but_nothing_else(spool_fixture):
    new_pack = pack(spool_fixture, fill(spool_fixture, 300))
    batches, _ = read_all(new_pack)
    batch_reader.begin_all(batches[::2])
    assert len(new_pack.name) <= 255
    for batch in batches[::4]:
        new_pack.settle([batch])
        assert len(new_pack.name) <= 255
    (after,) = spool_fixture.restart().packs
    left = {batch.position for batch in read_all(after)[0]}
    assert left >= set(range(300)) - set(range(0, 300, 4))
    assert after.count == 3 * len(left)
    doubtful = {
        batch.position for batch in read_all(Pack.of_name("a", after.directory, after.name))[0] if batch.sending
    }
    assert doubtful >= left & set(range(0, 300, 2))
    for batch in batches:
        if batch.position % 4:
            new_pack.settle([batch])
    assert spool_fixture.names() == []


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=30), st.integers(0, 90))
def test_ranges_behave_like_sets(parts, probe):
    ranges, expected = Ranges(), set()
    for first, length in parts:
        ranges = ranges.plus([(first, first + length)])
        expected |= set(range(first, first + length + 1))
    reread = Ranges.read(str(ranges))
    assert str(reread) == str(ranges)
    assert str(reread) == str(Ranges((position, position) for position in expected))
    assert (probe in reread) == (probe in expected)
    assert reread.touches(probe, probe + 3) == bool(expected & set(range(probe, probe + 4)))
    assert reread.covers(probe, probe + 3) == (set(range(probe, probe + 4)) <= expected)


def test_failed_settle_is_recorded_by_the_next(spool_fixture, monkeypatch):
    new_pack = pack(spool_fixture, fill(spool_fixture, 10))
    batches, _ = read_all(new_pack)
    path_type = type(spool_fixture.directory)
    monkeypatch.setattr(path_type, "rename", lambda self, to: (_ for _ in ()).throw(OSError(5, "I/O error")))
    spool_fixture.spool.remove(batches[:3])
    monkeypatch.undo()
    assert "I/O error" in spool_fixture.errors[0]
    spool_fixture.spool.remove(batches[3:5])
    (after,) = spool_fixture.restart().packs
    assert [batch.position for batch in read_all(after)[0]] == [5, 6, 7, 8, 9]


# --- restart ---------------------------------------------------------------------------------------------------------


def test_restart_reads_only_file_names(spool_fixture, monkeypatch):
    pack(spool_fixture, fill(spool_fixture, 100))
    fill(spool_fixture, 3, first=100)
    opened = []
    original_open = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *args, **kwargs: opened.append(str(path)) or original_open(path, *args, **kwargs)
    )
    monkeypatch.setattr("bridge.spool.recovery.read_regular", None)
    monkeypatch.setattr(Pack, "entries", None)
    found = spool_fixture.restart()
    assert (len(found.packs), len(found.batches)) == (1, 3)
    directory = str(spool_fixture.directory)
    assert {path for path in opened if path.startswith(directory)} == {
        directory, f"{directory}/lock", f"{directory}/format",
    }  # fmt: skip


def test_sequence_continues_after_a_pack(spool_fixture):
    new_pack = pack(spool_fixture, fill(spool_fixture, 5))
    spool_fixture.clocks.wall -= 3600
    spool_fixture.restart()
    spool_fixture.append(b"x")
    assert spool_fixture.seal()[0].sequence > new_pack.last


def test_restart_removes_only_the_loose_files_that_a_pack_contains(spool_fixture):
    batches = fill(spool_fixture, 6)
    original_files = {batch.path: batch.path.read_bytes() for batch in batches}
    late_batch = batches.pop(3)
    batch_reader.begin_sending(batches[0])
    new_pack = pack(spool_fixture, batches)
    for path, data in original_files.items():
        path.write_bytes(data)
    found = spool_fixture.restart()
    assert [batch.sequence for batch in found.batches] == [late_batch.sequence]
    assert spool_fixture.names() == sorted([new_pack.name, late_batch.path.name])


def test_restart_removes_packs_that_a_merged_pack_contains(spool_fixture):
    batches = fill(spool_fixture, 64)
    small = [pack(spool_fixture, batches[i : i + 16]) for i in range(0, 64, 16)]
    original_files = {each.path: each.path.read_bytes() for each in small}
    new_pack = pack_writer.merge(small, spool_fixture.errors.append)
    for path, data in original_files.items():
        path.write_bytes(data)
    assert [each.name for each in spool_fixture.restart().packs] == spool_fixture.names() == [new_pack.name]


def test_restart_removes_an_unfinished_pack(spool_fixture):
    batches = fill(spool_fixture, 3)
    (spool_fixture.directory / "a" / f"{batches[0].sequence}.packing").write_bytes(b"half")
    found = spool_fixture.restart()
    assert (len(found.batches), found.notes, found.packs) == (3, [], [])
    assert len(spool_fixture.names()) == 3


@pytest.mark.parametrize("failing_call", ["fsync", "write", "rename"])
def test_failed_pack_write_changes_no_file(spool_fixture, monkeypatch, failing_call):
    batches = fill(spool_fixture, 10)
    before = spool_fixture.names()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    if failing_call == "rename":
        monkeypatch.setattr(type(spool_fixture.directory), "rename", full)
    else:
        monkeypatch.setattr(os, failing_call, full)
    with pytest.raises(OSError, match="No space"):
        pack_writer.pack(batches, spool_fixture.spool.removals.failed)
    monkeypatch.undo()
    assert spool_fixture.names() == before


# --- damage ----------------------------------------------------------------------------------------------------------


def damage_pack(spool_fixture, change, *, count=100):
    """Packs batches, changes the bytes of the pack, and reads it. Returns the number of events read and the losses."""
    batches = fill(spool_fixture, count)
    expected = texts(batches)
    new_pack = pack(spool_fixture, batches)
    data = bytearray(new_pack.path.read_bytes())
    change(data)
    new_pack.path.write_bytes(data)
    (found,) = spool_fixture.restart().packs
    read, losses = read_all(found)
    assert set(texts(read)) <= set(expected)
    assert len(texts(read)) + sum(loss.events for loss in losses) == len(expected)
    assert sum(batch.size for batch in read) + sum(loss.size for loss in losses) == sum(b.size for b in batches)
    for loss in losses:
        found.record_loss(loss)
    # A loss is counted once, even if restarts follow before the next request.
    left = spool_fixture.restart().packs
    assert [each.count for each in left] == [len(texts(read))] * bool(read)
    for each in left:
        reread, later_losses = read_all(each)
        assert texts(reread) == texts(read)
        assert sum(loss.events for loss in later_losses) == 0
    return len(texts(read)), losses


def test_first_half_of_a_truncated_pack_is_read(spool_fixture, many_blocks):
    read, losses = damage_pack(spool_fixture, lambda data: data.__delitem__(slice(len(data) // 2, None)))
    assert 120 <= read <= 150
    assert "missing" in losses[-1].what


@pytest.mark.parametrize("where", [0.001, 0.2, 0.43, 0.5, 0.77, 0.999])
def test_damaged_byte_loses_one_block(spool_fixture, many_blocks, where):
    def flip(data):
        data[int(len(data) * where)] ^= 0x55

    read, losses = damage_pack(spool_fixture, flip)
    assert 300 - 33 <= read < 300
    assert any(loss.data for loss in losses)


def test_damaged_block_header_loses_one_block(spool_fixture, many_blocks):
    def wipe(data):
        second = data.find(pack_blocks._START, 10)
        data[second : second + 30] = bytes(30)

    read, _ = damage_pack(spool_fixture, wipe)
    assert 300 - 33 <= read < 300


@pytest.mark.parametrize("change", [lambda d: d.clear(), lambda d: d.__setitem__(slice(0, None), bytes(len(d)))])
def test_empty_or_zeroed_pack_is_counted_as_lost(spool_fixture, many_blocks, change):
    read, losses = damage_pack(spool_fixture, change)
    assert read == 0
    assert sum(loss.events for loss in losses) == 300


def test_foreign_pack_is_quarantined(spool_fixture):
    fill(spool_fixture, 1)
    (spool_fixture.directory / "a" / "holiday.pack").write_bytes(b"?")
    found = spool_fixture.restart()
    assert len(found.batches) == 1
    assert "not a batch file" in found.notes[0]


@given(st.data())
def test_any_damage_loses_events_and_invents_none(data):
    """Changes any bytes: each entry that is still read is one that was written."""
    entries = [
        pack_blocks.BlockEntry(i + 1, 0, 0, 1, 12, "lines", False, False, b"event %05d\n" % i) for i in range(40)
    ]
    intact = b"".join(pack_blocks.encode(i, entries[i : i + 8]) for i in range(0, 40, 8))
    changed = bytearray(intact)
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(intact) - 1), st.integers(0, 255)), max_size=5)):
        changed[at] = value
    del changed[data.draw(st.integers(0, len(intact))) :]
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
