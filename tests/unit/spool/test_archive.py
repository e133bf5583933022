"""Tests that delivered batches are archived by the hour, within the limits, and can be read again."""

import pytest

from bridge.spool import batch_reader, pack_writer
from bridge.spool.archive import Archive

HOUR = 3600
PAD = b"x" * 100


@pytest.fixture
def archive(spool_fixture):
    return attach(spool_fixture)


def attach(spool_fixture, *, max_size=10**9, max_age=None):
    archive = Archive(
        spool_fixture.directory / ".archive", max_size=max_size, max_age=max_age,
        wall=lambda: spool_fixture.clocks.wall, on_error=spool_fixture.errors.append,
    )  # fmt: skip
    archive.recover()
    spool_fixture.spool.use_archive(archive)
    return archive


def deliver(spool_fixture, count, *, first=0, seconds=1.0, settle=True):
    """Seals batches of one event each at an interval, and settles them. Returns the events and the batches."""
    spool_fixture.sealed = sealed = []
    events = []
    for i in range(first, first + count):
        events.append(b"event %d %s" % (i, PAD))
        spool_fixture.append(events[-1], ms=int(spool_fixture.clocks.wall * 1000))
        spool_fixture.spool.seal_all()
        spool_fixture.clocks.advance(seconds)
    if settle:
        spool_fixture.spool.remove(sealed)
    return events, sealed


def archived_events(archive, low=0, high=1 << 60):
    return [line for batch in archive.read("a", low, high) for line in batch_reader.content(batch).split(b"\n")[:-1]]


def files(archive):
    folder = archive.directory / "a"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_delivered_batches_are_archived_in_one_pack_per_hour(spool_fixture, archive):
    events, _ = deliver(spool_fixture, 600, seconds=1)
    assert spool_fixture.names() == []
    archive.tidy()
    more, _ = deliver(spool_fixture, 300, first=600, seconds=20)
    assert archived_events(archive) == events + more
    spool_fixture.clocks.advance(HOUR)
    archive.tidy()
    assert archived_events(archive) == events + more
    hours = [name.partition(".")[0] for name in files(archive)]
    assert hours == ["20261123T12", "20261123T13"]
    assert spool_fixture.errors == []


def test_batches_delivered_from_a_pack_are_archived(spool_fixture, archive):
    events, batches = deliver(spool_fixture, 20, settle=False)
    new_pack, _ = pack_writer.pack(batches, spool_fixture.spool.removals.failed)
    read_batches = new_pack.read(most_batches=1000, most_bytes=10**9, sealed=0.0).batches
    spool_fixture.spool.remove(read_batches)
    assert (spool_fixture.names(), archived_events(archive)) == ([], events)


def test_read_returns_only_events_of_the_period(spool_fixture, archive):
    events, _ = deliver(spool_fixture, 600, seconds=10)
    spool_fixture.clocks.advance(HOUR)
    archive.tidy()
    begin = spool_fixture.NOON_MS + 200_000
    assert archived_events(archive, begin, begin + 100_000) == events[20:30]
    assert list(archive.read("other", 0, 1 << 60)) == []


def test_restart_finds_the_archived_events(spool_fixture, archive):
    events, _ = deliver(spool_fixture, 300, seconds=20)
    archive.tidy()
    reopened = attach(spool_fixture)
    assert archived_events(reopened) == events
    assert reopened.size == archive.size


def test_hours_older_than_max_age_are_deleted(spool_fixture):
    archive = attach(spool_fixture, max_age=2 * HOUR)
    events, _ = deliver(spool_fixture, 300, seconds=60)
    archive.tidy()
    remaining = archived_events(archive)
    assert 120 <= len(remaining) < 240
    assert remaining == events[-len(remaining) :]


def test_oldest_events_are_deleted_above_max_size(spool_fixture):
    archive = attach(spool_fixture, max_size=100 * 4096)
    events, _ = deliver(spool_fixture, 150, seconds=60)
    assert archive.size <= 100 * 4096
    remaining = archived_events(archive)
    assert remaining == events[-len(remaining) :]
    assert remaining
    assert sum(path.stat().st_blocks * 512 for path in (archive.directory / "a").iterdir()) == archive.size


def test_changed_limits_apply_to_the_archived_events(spool_fixture, archive):
    events, _ = deliver(spool_fixture, 150, seconds=60)
    archive.change(max_size=10**9, max_age=HOUR)
    archive.enforce_limits()
    remaining = archived_events(archive)
    assert 60 <= len(remaining) < 150
    assert remaining == events[-len(remaining) :]
    archive.change(max_size=0, max_age=None)
    archive.enforce_limits()
    assert archived_events(archive) == []


def test_shrink_releases_space(spool_fixture, archive):
    deliver(spool_fixture, 10)
    assert archive.shrink(0) == 10 * 4096
    assert (files(archive), archive.size) == ([], 0)


def test_batch_that_cannot_be_archived_is_deleted(spool_fixture, archive, monkeypatch):
    _, batches = deliver(spool_fixture, 1, settle=False)
    path_type = type(spool_fixture.directory)
    monkeypatch.setattr(path_type, "rename", lambda self, to: (_ for _ in ()).throw(OSError(28, "No space left")))
    spool_fixture.spool.remove(batches)
    monkeypatch.undo()
    assert (spool_fixture.names(), files(archive)) == ([], [])
    assert "No space left" in spool_fixture.errors[0]


def test_partly_written_copy_is_removed(spool_fixture, archive, monkeypatch):
    """The disk may fill up while a batch of a pack is copied."""
    _, sealed = deliver(spool_fixture, 10, settle=False)
    new_pack, _ = pack_writer.pack(sealed, spool_fixture.spool.removals.failed)
    batches = new_pack.read(most_batches=1000, most_bytes=10**9, sealed=0.0).batches
    path_type, write_bytes = type(spool_fixture.directory), type(spool_fixture.directory).write_bytes

    def write_a_part(self, data):
        write_bytes(self, data[:2])
        raise_full()

    monkeypatch.setattr(path_type, "write_bytes", write_a_part)
    spool_fixture.spool.remove(batches)
    assert "cannot keep a delivered batch" in spool_fixture.errors[0]
    assert files(archive) == []


def test_damage_is_reported_and_the_other_events_are_read(spool_fixture, archive, monkeypatch):
    monkeypatch.setattr(pack_writer, "BLOCK", 1200)
    events, _ = deliver(spool_fixture, 300)
    archive.tidy()
    (name,) = files(archive)
    path = archive.directory / "a" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    remaining = archived_events(archive)
    assert 285 <= len(remaining) < 300
    assert set(remaining) < set(events)
    assert "damaged" in spool_fixture.errors[0]


def two_packs_of_one_hour(spool_fixture, archive):
    events, _ = deliver(spool_fixture, 300, seconds=1)
    archive.tidy()
    more, _ = deliver(spool_fixture, 300, first=300, seconds=1)
    archive.tidy()
    assert len(files(archive)) == 2
    spool_fixture.clocks.advance(2 * HOUR)
    return events + more


def test_failed_merge_is_reported_and_tried_again(spool_fixture, archive, monkeypatch):
    events = two_packs_of_one_hour(spool_fixture, archive)
    size = archive.size
    with monkeypatch.context() as patch:
        patch.setattr(pack_writer, "write_new", raise_full)
        archive.tidy()
    assert "cannot merge" in spool_fixture.errors[0]
    assert "No space left" in spool_fixture.errors[0]
    assert (len(files(archive)), archive.size) == (2, size)
    archive.tidy()
    assert len(files(archive)) == 1
    assert archived_events(archive) == events


def test_packs_of_an_hour_with_a_damaged_one_stay_and_are_reported_once(spool_fixture, archive):
    two_packs_of_one_hour(spool_fixture, archive)
    path = archive.directory / "a" / files(archive)[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    before = files(archive)
    archive.tidy()
    archive.tidy()
    (error,) = spool_fixture.errors
    assert error == f"archive: cannot merge {path}: a block is damaged"
    assert files(archive) == before


def raise_full(*args):
    raise OSError(28, "No space left on device")


# --- a clock that was wrong -----------------------------------------------------------------------------------------

YEARS = 3650 * 24 * HOUR


def attach_unsettled(spool_fixture, settled, **limits):
    archive = Archive(
        spool_fixture.directory / ".archive", max_size=10**9, max_age=2 * HOUR, settled=lambda: settled[0],
        wall=lambda: spool_fixture.clocks.wall, on_error=spool_fixture.errors.append,
    )  # fmt: skip
    archive.recover()
    spool_fixture.spool.use_archive(archive)
    return archive


@pytest.mark.parametrize("packed", [False, True])
def test_clock_ten_years_ahead_deletes_nothing_until_it_is_settled(spool_fixture, packed):
    settled = [False]
    archive = attach_unsettled(spool_fixture, settled)
    events, _ = deliver(spool_fixture, 300 if packed else 3)
    spool_fixture.clocks.wall += YEARS
    archive.tidy()
    more, _ = deliver(spool_fixture, 3, first=300)
    archive.tidy()
    spool_fixture.clocks.wall -= YEARS
    archive = attach_unsettled(spool_fixture, settled)
    archive.tidy()
    assert archived_events(archive) == events + more


@pytest.mark.parametrize("packed", [False, True])
def test_hours_ahead_of_a_settled_clock_expire_like_the_current_hour(spool_fixture, packed):
    settled = [False]
    archive = attach_unsettled(spool_fixture, settled)
    spool_fixture.clocks.wall += YEARS
    events, _ = deliver(spool_fixture, 300 if packed else 3)
    archive.tidy()
    spool_fixture.clocks.wall -= YEARS
    settled[0] = True
    archive = attach_unsettled(spool_fixture, settled)
    archive.tidy()
    spool_fixture.clocks.wall += HOUR
    archive.tidy()
    assert archived_events(archive) == events
    assert [name.partition(".")[0] for name in files(archive)] == ["20261123T12"]
    assert archived_events(attach_unsettled(spool_fixture, settled)) == events
    spool_fixture.clocks.wall += 3 * HOUR
    archive.tidy()
    assert (files(archive), archive.size) == ([], 0)
