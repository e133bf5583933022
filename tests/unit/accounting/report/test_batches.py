"""What is known of each batch over the lives of processes."""

from bridge.accounting.report.batches import BatchReceipts

NOTHING_THERE = {"sending": {}, "possible_duplicates": {}}


def start(*there, intake="fw", events=10, doubled=None):
    """A line that names these batches; ``doubled`` possible duplicates, not only theirs."""
    return {
        "sending": {intake: [[sequence, events] for sequence in there]},
        "possible_duplicates": {intake: events * len(there) if doubled is None else doubled},
    }


def test_a_batch_that_is_there_again_is_queued_again_and_twice_only_beyond_what_was_settled():
    books = BatchReceipts()
    assert books.accept(1, "fw", 6, 10) == 6
    assert books.refuse(1, "fw", 2, 10) == 2
    assert books.queued_again(start(1)) == {"fw": 8}
    assert books.accept(1, "fw", 8, 10) == 2
    assert books.refuse(1, "fw", 2, 10) == 0
    assert not books.queued_again(NOTHING_THERE)
    # Its file is gone: a batch with that number would be another.
    assert books.accept(1, "fw", 10, 10) == 10


def test_a_batch_that_an_operator_moved_is_queued_again_where_it_is_now():
    books = BatchReceipts()
    books.accept(1, "fw", 6, 10)
    assert books.queued_again(start(1)) == {"fw": 6}
    assert books.accept(1, "linux", 10, 10) == 4
    assert books.queued_again(start(1, intake="linux")) == {"linux": 10}


def test_what_went_to_a_shared_queue_is_queued_again_too():
    books = BatchReceipts()
    books.hand_over(1, "fw", 4, 10)
    books.accept(1, "fw", 6, 10)
    assert books.queued_again(start(1)) == {"fw": 10}
    books.hand_over(1, "fw", 10, 10)
    assert not books.queued_again(NOTHING_THERE)


def test_a_start_that_does_not_name_all_leaves_what_was_settled_in_part():
    books = BatchReceipts()
    for sequence, accepted in enumerate((10, 3, 4, 5)):
        books.accept(sequence, "fw", accepted, 10)
    books.accept(4, "linux", 1, 10)
    # Of 20 possible duplicates nobody says what they are in: of two batches, and none of another intake.
    assert books.queued_again(start(3, doubled=30)) == {"fw": 12}
    assert [books.accept(sequence, "fw", 10, 10) for sequence in range(4)] == [10, 7, 6, 5]
    assert books.accept(4, "linux", 10, 10) == 10
