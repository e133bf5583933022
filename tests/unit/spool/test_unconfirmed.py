"""What of a spool that is found a request has carried before: loose, packed, in a pack that is damaged."""

import pytest

from bridge.spool import batch_reader, pack_blocks, pack_writer
from bridge.spool import pack as packs
from bridge.spool.unconfirmed import UnconfirmedBatch, carried


@pytest.fixture
def small_blocks(monkeypatch):
    """Each batch is a block of its own."""
    monkeypatch.setattr(pack_writer, "BLOCK", 1)


def fill(yard, count, intake="a"):
    """Sealed batches of two events."""
    before = len(yard.sealed)
    for _ in range(count):
        yard.append(b"one", b"two", intake=intake)
        yard.seal()
    return yard.sealed[before:]


def pack(yard, batches):
    made, apart = pack_writer.pack(batches, yard.spool.cannot_remove)
    assert made is not None
    assert not apart
    return made


def read(made):
    return made.read(most_batches=1000, most_bytes=10**6, sealed=0.0).batches


def named(*batches):
    return [UnconfirmedBatch(batch.sequence, 2, batch.intake) for batch in batches]


@pytest.mark.usefixtures("small_blocks")
def test_what_a_request_has_carried_is_named_packed_or_not(yard):
    packed, loose, others = fill(yard, 6), fill(yard, 2), fill(yard, 2, "b")
    # Its own file said so, and now only the pack's contents do.
    batch_reader.begin_sending(packed[4])
    made = read(pack(yard, packed))
    batch_reader.begin_all([made[1], made[2], loose[1], others[0]])
    made[1].pack.settle([made[1]])
    assert carried(yard.restart()) == (named(packed[2], packed[4], loose[1], others[0]), 0)


@pytest.mark.usefixtures("small_blocks")
def test_it_is_named_until_a_pack_says_that_it_is_settled(yard):
    packed = fill(yard, 4)
    batch_reader.begin_sending(packed[0])
    pack(yard, packed)
    found = yard.restart()
    assert carried(found) == (named(packed[0]), 0)
    batches = read(found.packs[0])
    batch_reader.begin_all(batches)
    assert carried(yard.restart()) == (named(*packed), 0)
    found.packs[0].settle(batches[:3])
    assert carried(yard.restart()) == (named(packed[3]), 0)


def test_where_a_name_is_too_short_for_all_ranges_more_are_named(yard, monkeypatch):
    packed = fill(yard, 9)
    made = read(pack(yard, packed))
    monkeypatch.setattr(packs, "LONGEST_NAME", len(made[0].pack.name) + len(".b0-8"))
    batch_reader.begin_all([made[0], made[4], made[6]])
    assert carried(yard.restart()) == (named(*packed[:7]), 0)


def test_a_pack_without_anything_in_doubt_is_not_read(yard):
    packed = fill(yard, 3)
    made = read(pack(yard, packed))
    batch_reader.begin_all(made[:2])
    made[0].pack.settle(made[:2])
    found = yard.restart()
    found.packs[0].path.unlink()
    assert carried(found) == ([], 0)


@pytest.mark.usefixtures("small_blocks")
def test_what_cannot_be_read_is_counted(yard):
    made = pack(yard, fill(yard, 4))
    batches = read(made)
    batch_reader.begin_all(batches)
    made.settle(batches[:1])
    data = bytearray(made.path.read_bytes())
    starts = [at for at in range(len(data)) if data.startswith(pack_blocks._START, at)]
    # Settled: nobody looks. Contents; header.
    for damaged in (starts[0] + pack_blocks.HEADER, starts[1] + pack_blocks.HEADER, starts[2] + 30):
        data[damaged] ^= 0xFF
    made.path.write_bytes(data)
    found = yard.restart()
    assert carried(found) == (named(batches[3]), 2)
    found.packs[0].path.unlink()
    assert carried(found) == ([], 4)
