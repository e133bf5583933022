"""Tests how the disk budget computes the spool's limit and the room of each intake."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.config.units import Share
from bridge.spool.budget import MOST_GRANULE, BudgetTerms, DiskState, Shares, limit

GB = 10**9
TERMS = BudgetTerms(Share(80), Share(10))


def shares(limit, parked=(), pause=False, **uses):
    return Shares(limit, uses, frozenset(parked), pause=pause)


def test_limit_is_a_share_of_the_disk_or_a_size():
    assert limit(TERMS, DiskState(100 * GB, 100 * GB), used=0) == 80 * GB
    assert limit(BudgetTerms(5 * GB, Share(10)), DiskState(100 * GB, 100 * GB), used=0) == 5 * GB


def test_min_free_stops_growth_but_does_not_shrink_the_spool():
    disk = DiskState(100 * GB, 12 * GB)
    assert limit(TERMS, disk, used=20 * GB) == 22 * GB
    almost_full = DiskState(100 * GB, 5 * GB)
    assert limit(TERMS, almost_full, used=20 * GB) == 20 * GB + MOST_GRANULE
    limit_before = limit(TERMS, almost_full, used=20 * GB, before=20 * GB)
    assert limit_before == 20 * GB
    assert limit(TERMS, almost_full, used=4 * GB, before=limit_before) == 4 * GB + MOST_GRANULE, (
        "space that the spool releases is left to others"
    )


def test_empty_spool_may_hold_64_mib_on_a_disk_filled_by_others():
    assert limit(TERMS, DiskState(100 * GB, 5 * GB), used=0, before=0) == 64 << 20


def test_limit_is_at_most_the_free_space():
    assert limit(TERMS, DiskState(100 * GB, 1000), used=0) == 1000
    assert limit(TERMS, DiskState(100 * GB, 10_000), used=0, kept_free=4000) == 6000


def test_intake_borrows_free_space():
    found = shares(1000 << 20, a=600 << 20, b=0, c=0, d=0)
    assert found.share == 250 << 20
    assert found.room("a") == 400 << 20
    assert found.room("b") == 400 << 20, "all free space"


def test_share_is_guaranteed_and_the_borrower_must_shrink():
    found = shares(1000 << 20, a=900 << 20, b=150 << 20, c=0, d=0)
    assert found.room("a") == -(50 << 20)
    assert found.room("b") == 100 << 20
    found.release("a", 60 << 20)
    assert found.room("a") == 10 << 20


def test_parked_intakes_together_borrow_at_most_half():
    found = shares(1000 << 20, parked="ab", a=400 << 20, b=300 << 20, c=0, d=0)
    lendable = (1000 - 500) << 20
    assert found.borrowed("a") + found.borrowed("b") == 200 << 20
    assert found.room("a") == found.room("b") == lendable // 2 - (200 << 20)
    assert found.room("c") == 300 << 20


def test_intake_borrows_at_most_half_with_pause():
    found = shares(1000 << 20, pause=True, a=600 << 20, b=0)
    assert found.room("a") == ((1000 - 500) // 2 - 100) << 20


@given(
    st.integers(0, 10**12),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 10**12), min_size=1),
    st.frozensets(st.sampled_from("abcdefgh")),
    st.booleans(),
)
def test_releasing_overdrawn_room_keeps_the_spool_within_its_limit(most, uses, parked, pause):
    found = Shares(most, uses, parked, pause=pause)
    assert found.used == sum(uses.values())
    for name, size in uses.items():
        if size < found.share:
            assert found.room(name) >= found.share - size, "the share is guaranteed whatever other intakes hold"
    for name in sorted(uses, key=found.borrowed, reverse=True):
        if (room := found.room(name)) < 0:
            found.release(name, min(-room, found.borrowed(name)))
    assert all(found.room(name) >= 0 for name in uses)
    assert found.used <= most
