"""Tests which recovered batches a request carried before: loose files, packs and damaged packs."""

import pytest

from bridge.spool import batch_reader, pack_blocks, pack_writer
from bridge.spool import pack as packs


@pytest.fixture
def small_blocks(monkeypatch):
    """Writes each batch into a block of its own."""
    monkeypatch.setattr(pack_writer, "BLOCK", 1)


def fill(spool_fixture, count, intake="a"):
    """Seals batches of two events each. Returns them."""
    before = len(spool_fixture.sealed)
    for _ in range(count):
        spool_fixture.append(b"one", b"two", intake=intake)
        spool_fixture.seal()
    return spool_fixture.sealed[before:]


def pack(spool_fixture, batches):
    new_pack, damaged_batches = pack_writer.pack(batches, spool_fixture.spool.removals.failed)
    assert new_pack is not None
    assert not damaged_batches
    return new_pack


def read(pack_to_read):
    return pack_to_read.read(most_batches=1000, most_bytes=10**6, sealed=0.0).batches


def unconfirmed(*batches):
    return [(batch.sequence, 2, batch.intake) for batch in batches]


@pytest.mark.usefixtures("small_blocks")
def test_packed_and_loose_batches_of_a_request_are_unconfirmed(spool_fixture):
    packed, loose, others = fill(spool_fixture, 6), fill(spool_fixture, 2), fill(spool_fixture, 2, "b")
    # The file was named .sending; now only the contents of the pack record this.
    batch_reader.begin_sending(packed[4])
    batches = read(pack(spool_fixture, packed))
    batch_reader.begin_all([batches[1], batches[2], loose[1], others[0]])
    batches[1].pack.settle([batches[1]])
    assert spool_fixture.restart().unconfirmed() == (unconfirmed(packed[2], packed[4], loose[1], others[0]), 0)


@pytest.mark.usefixtures("small_blocks")
def test_packed_batch_is_unconfirmed_until_the_pack_records_it_as_settled(spool_fixture):
    packed = fill(spool_fixture, 4)
    batch_reader.begin_sending(packed[0])
    pack(spool_fixture, packed)
    found = spool_fixture.restart()
    assert found.unconfirmed() == (unconfirmed(packed[0]), 0)
    batches = read(found.packs[0])
    batch_reader.begin_all(batches)
    assert spool_fixture.restart().unconfirmed() == (unconfirmed(*packed), 0)
    found.packs[0].settle(batches[:3])
    assert spool_fixture.restart().unconfirmed() == (unconfirmed(packed[3]), 0)


def test_more_batches_are_unconfirmed_if_the_ranges_exceed_the_name_length(spool_fixture, monkeypatch):
    packed = fill(spool_fixture, 9)
    batches = read(pack(spool_fixture, packed))
    monkeypatch.setattr(packs, "LONGEST_NAME", len(batches[0].pack.name) + len(".b0-8"))
    batch_reader.begin_all([batches[0], batches[4], batches[6]])
    assert spool_fixture.restart().unconfirmed() == (unconfirmed(*packed[:7]), 0)


def test_pack_without_possible_duplicates_is_not_read(spool_fixture):
    packed = fill(spool_fixture, 3)
    batches = read(pack(spool_fixture, packed))
    batch_reader.begin_all(batches[:2])
    batches[0].pack.settle(batches[:2])
    found = spool_fixture.restart()
    found.packs[0].path.unlink()
    assert found.unconfirmed() == ([], 0)


@pytest.mark.usefixtures("small_blocks")
def test_unreadable_batches_are_counted(spool_fixture):
    new_pack = pack(spool_fixture, fill(spool_fixture, 4))
    batches = read(new_pack)
    batch_reader.begin_all(batches)
    new_pack.settle(batches[:1])
    data = bytearray(new_pack.path.read_bytes())
    starts = [at for at in range(len(data)) if data.startswith(pack_blocks._START, at)]
    # The first damage is in a settled block, which is not read. The others are in the contents and in a header.
    for damaged in (starts[0] + pack_blocks.HEADER, starts[1] + pack_blocks.HEADER, starts[2] + 30):
        data[damaged] ^= 0xFF
    new_pack.path.write_bytes(data)
    found = spool_fixture.restart()
    assert found.unconfirmed() == (unconfirmed(batches[3]), 2)
    found.packs[0].path.unlink()
    assert found.unconfirmed() == ([], 4)


# --- counted once ---------------------------------------------------------------------------------------------------


def counted(found):
    """Returns the possible duplicates that a start counts, and records them as a start does."""
    events = dict(found.sending)
    found.possible_duplicates_counted()
    return events


def test_restarts_alone_count_no_further_possible_duplicates(spool_fixture):
    loose, packed = fill(spool_fixture, 2), fill(spool_fixture, 6)
    batches = read(pack(spool_fixture, packed))
    batch_reader.begin_all([loose[0], *batches[:2]])
    expected = unconfirmed(loose[0], *packed[:2])
    for events in ({"a": 6}, {}, {}):
        found = spool_fixture.restart()
        assert counted(found) == events
        assert found.unconfirmed() == (expected, 0), "the journal still lists them"
    batch_reader.begin_all([found.batches[0], read(found.packs[0])[1]])
    assert counted(spool_fixture.restart()) == {"a": 4}
    found = spool_fixture.restart()
    assert counted(found) == {}
    spool_fixture.spool.remove([*found.batches, *read(found.packs[0])])
    assert spool_fixture.names() == []


def test_failed_request_leaves_nothing_for_a_restart_to_count(spool_fixture):
    loose, packed = fill(spool_fixture, 2), fill(spool_fixture, 6)
    batches = read(pack(spool_fixture, packed))
    names = spool_fixture.names()
    for _ in range(2):
        batch_reader.begin_all([loose[0], *batches[:2]])
        assert spool_fixture.names() != names
        batch_reader.end_all([loose[0], *batches[:2]])
        assert loose[0].path.name in names
    assert counted(spool_fixture.restart()) == {}


def test_counted_batch_is_not_counted_again_after_it_was_packed(spool_fixture):
    batch_reader.begin_all(fill(spool_fixture, 3)[:2])
    found = spool_fixture.restart()
    assert counted(found) == {"a": 4}
    pack(spool_fixture, found.batches)
    found = spool_fixture.restart()
    assert counted(found) == {}
    assert len(found.unconfirmed()[0]) == 2
