"""Tests how the receipts of a batch are tracked over several process runs."""

from bridge.accounting.report.batches import BatchReceipts

NO_BATCHES = {"sending": {}, "possible_duplicates": {}}


def start(*sequences, intake="fw", events=10, possible_duplicates=None):
    """Returns a start line that names these batches. ``possible_duplicates`` may also count others."""
    return {
        "sending": {intake: [[sequence, events] for sequence in sequences]},
        "possible_duplicates": {
            intake: events * len(sequences) if possible_duplicates is None else possible_duplicates
        },
    }


def test_requeued_batch_is_counted_twice_only_beyond_its_settled_events():
    receipts = BatchReceipts()
    assert receipts.settle("accepted", 1, "fw", 6, 10) == 6
    assert receipts.settle("refused", 1, "fw", 2, 10) == 2
    assert receipts.queued_again(start(1)) == {"fw": 8}
    assert receipts.settle("accepted", 1, "fw", 8, 10) == 2
    assert receipts.settle("refused", 1, "fw", 2, 10) == 0
    assert not receipts.queued_again(NO_BATCHES)
    # The file of the batch was removed, so a batch with that number is another one.
    assert receipts.settle("accepted", 1, "fw", 10, 10) == 10


def test_batch_without_the_mark_of_a_sent_one_is_recognised_when_it_is_settled_again():
    receipts = BatchReceipts()
    receipts.settle("accepted", 1, "fw", 10, 10)
    assert not receipts.queued_again(NO_BATCHES)
    assert not receipts.found_unmarked(1, total=9)
    assert not receipts.found_unmarked(2, total=10)
    assert receipts.found_unmarked(1, total=10) == {"fw": 10}
    assert not receipts.found_unmarked(1, total=10)
    assert receipts.settle("accepted", 1, "fw", 10, 10) == 0


def test_moved_batch_is_queued_again_for_its_new_intake():
    receipts = BatchReceipts()
    receipts.settle("accepted", 1, "fw", 6, 10)
    assert receipts.queued_again(start(1)) == {"fw": 6}
    assert receipts.settle("accepted", 1, "linux", 10, 10) == 4
    assert receipts.queued_again(start(1, intake="linux")) == {"linux": 10}


def test_handed_over_batch_is_queued_again():
    receipts = BatchReceipts()
    receipts.settle("handed", 1, "fw", 4, 10)
    receipts.settle("accepted", 1, "fw", 6, 10)
    assert receipts.queued_again(start(1)) == {"fw": 10}
    receipts.settle("handed", 1, "fw", 10, 10)
    assert not receipts.queued_again(NO_BATCHES)


def test_start_with_unnamed_batches_requeues_partly_settled_ones():
    receipts = BatchReceipts()
    for sequence, accepted in enumerate((10, 3, 4, 5)):
        receipts.settle("accepted", sequence, "fw", accepted, 10)
    receipts.settle("accepted", 4, "linux", 1, 10)
    # 20 possible duplicates are not named: they are in two batches of this intake, and in none of another intake.
    assert receipts.queued_again(start(3, possible_duplicates=30)) == {"fw": 12}
    assert [receipts.settle("accepted", sequence, "fw", 10, 10) for sequence in range(4)] == [10, 7, 6, 5]
    assert receipts.settle("accepted", 4, "linux", 10, 10) == 10
