"""The archive: what was delivered is kept by the hour, within its bounds, and can be read again."""

import pytest

from bridge.spool import batch_reader, pack_writer
from bridge.spool.archive import Archive

HOUR = 3600
PAD = b"x" * 100


@pytest.fixture
def archive(yard):
    return attach(yard)


def attach(yard, *, max_size=10**9, max_age=None):
    archive = Archive(
        yard.directory / ".archive", max_size=max_size, max_age=max_age, wall=lambda: yard.clocks.wall,
        on_error=yard.errors.append,
    )  # fmt: skip
    archive.recover()
    yard.spool.archive = archive
    return archive


def deliver(yard, count, *, first=0, seconds=1.0, settle=True):
    """So many batches, one every so many seconds, settled; their events."""
    yard.spool.on_sealed = (sealed := []).append
    events = []
    for i in range(first, first + count):
        events.append(b"event %d %s" % (i, PAD))
        yard.append(events[-1], ms=int(yard.clocks.wall * 1000))
        yard.spool.seal_all()
        yard.clocks.pass_(seconds)
    if settle:
        yard.spool.remove(sealed)
    return events, sealed


def kept(archive, low=0, high=1 << 60):
    return [line for batch in archive.read("a", low, high) for line in batch_reader.content(batch).split(b"\n")[:-1]]


def files(archive):
    folder = archive.directory / "a"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_delivered_batches_are_kept_and_become_one_pack_an_hour(yard, archive):
    events, _ = deliver(yard, 600, seconds=1)
    assert yard.names() == []
    archive.tidy()
    more, _ = deliver(yard, 300, first=600, seconds=20)
    assert kept(archive) == events + more
    yard.clocks.pass_(HOUR)
    archive.tidy()
    assert kept(archive) == events + more
    hours = [name.partition(".")[0] for name in files(archive)]
    assert hours == ["20261123T12", "20261123T13"]
    assert yard.errors == []


def test_what_was_delivered_from_a_pack_is_kept(yard, archive):
    events, batches = deliver(yard, 20, settle=False)
    made, _ = pack_writer.pack(batches, yard.spool.cannot_remove)
    read = made.read(most_batches=1000, most_bytes=10**9, sealed=0.0).batches
    yard.spool.remove(read)
    assert (yard.names(), kept(archive)) == ([], events)


def test_only_what_lies_within_the_times_is_read(yard, archive):
    events, _ = deliver(yard, 600, seconds=10)
    yard.clocks.pass_(HOUR)
    archive.tidy()
    begin = yard.NOON_MS + 200_000
    assert kept(archive, begin, begin + 100_000) == events[20:30]
    assert list(archive.read("other", 0, 1 << 60)) == []


def test_a_restart_knows_what_is_kept(yard, archive):
    events, _ = deliver(yard, 300, seconds=20)
    archive.tidy()
    again = attach(yard)
    assert kept(again) == events
    assert again.size == archive.size


def test_what_is_too_old_goes_by_whole_hours(yard):
    archive = attach(yard, max_age=2 * HOUR)
    events, _ = deliver(yard, 300, seconds=60)
    archive.tidy()
    left = kept(archive)
    assert 120 <= len(left) < 240
    assert left == events[-len(left) :]


def test_what_is_too_much_goes_the_oldest_first(yard):
    archive = attach(yard, max_size=100 * 4096)
    events, _ = deliver(yard, 150, seconds=60)
    assert archive.size <= 100 * 4096
    left = kept(archive)
    assert left == events[-len(left) :]
    assert left
    assert sum(path.stat().st_blocks * 512 for path in (archive.directory / "a").iterdir()) == archive.size


def test_a_disk_that_needs_room_gets_it(yard, archive):
    deliver(yard, 10)
    assert archive.shrink(0) == 10 * 4096
    assert (files(archive), archive.size) == ([], 0)


def test_a_batch_that_cannot_be_kept_goes_all_the_same(yard, archive, monkeypatch):
    _, batches = deliver(yard, 1, settle=False)
    path_type = type(yard.directory)
    monkeypatch.setattr(path_type, "rename", lambda self, to: (_ for _ in ()).throw(OSError(28, "No space left")))
    yard.spool.remove(batches)
    monkeypatch.undo()
    assert (yard.names(), files(archive)) == ([], [])
    assert "No space left" in yard.errors[0]


def test_damage_is_said_and_the_rest_read(yard, archive, monkeypatch):
    monkeypatch.setattr(pack_writer, "BLOCK", 1200)
    events, _ = deliver(yard, 300)
    archive.tidy()
    (name,) = files(archive)
    path = archive.directory / "a" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    left = kept(archive)
    assert 285 <= len(left) < 300
    assert set(left) < set(events)
    assert "damaged" in yard.errors[0]
