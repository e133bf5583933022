"""Tests which event times get a slot of their own when the times of an intake are scattered."""

from bridge.spool.scattered import MOST_FAR, REMEMBERED

HOUR = 3600


def timed(spool_fixture):
    return [name for name in spool_fixture.names() if ".timed." in name]


def scatter(spool_fixture):
    for number in range(MOST_FAR + 20):
        spool_fixture.append(b"far %d" % number, slot=HOUR + 7 * number)


def test_scattered_times_far_from_the_present_open_few_files(spool_fixture):
    scatter(spool_fixture)
    assert (len(timed(spool_fixture)), len(spool_fixture.names())) == (1, MOST_FAR + 1)
    assert sorted(spool_fixture.events(spool_fixture.seal())) == sorted(b"far %d" % n for n in range(MOST_FAR + 20))


def test_events_of_the_present_have_slots_although_others_are_scattered(spool_fixture):
    scatter(spool_fixture)
    for slot in range(5):
        spool_fixture.append(b"current", slot=slot)
    assert (len(timed(spool_fixture)), len(spool_fixture.names())) == (1, MOST_FAR + 1 + 5)


def test_later_scattered_times_go_to_a_timed_file_at_once_until_there_were_none_for_a_while(spool_fixture):
    scatter(spool_fixture)
    spool_fixture.seal()
    before = len(spool_fixture.names())
    for number in range(3):
        spool_fixture.append(b"far", slot=HOUR + 60 * number)
    assert len(spool_fixture.names()) == before + 1
    spool_fixture.seal()
    assert spool_fixture.sealed[-1].timed
    spool_fixture.clocks.advance(REMEMBERED)
    spool_fixture.append(b"far", slot=HOUR)
    spool_fixture.seal()
    assert not spool_fixture.sealed[-1].timed


def test_another_intake_is_not_affected(spool_fixture):
    scatter(spool_fixture)
    spool_fixture.append(b"far", slot=HOUR, intake="b")
    assert not any(".timed." in name for name in spool_fixture.names("b"))


def test_group_of_several_times_keeps_its_own_slot(spool_fixture):
    """In the timed file, all of its events would have its earliest time."""
    scatter(spool_fixture)
    spool_fixture.append(b"first", b"last", slot=2 * HOUR, spread_ms=900)
    batches = [batch for batch in spool_fixture.seal() if not batch.timed and batch.count == 2]
    assert spool_fixture.events(batches) == [b"first", b"last"]
