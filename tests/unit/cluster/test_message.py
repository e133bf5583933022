"""Tests that batches which cannot be marked as being sent are reported and not published."""

from pathlib import Path

from bridge.cluster.message import read_messages
from bridge.spool import Batch, Piece


def held_piece(sequence):
    batch = Batch("a", sequence, "lines", False, 1, 1, 1, 2, Path("/nonexistent"), 0.0)
    return Piece(batch, 1, 1, 1, 2, b"x\n")


def test_batches_that_cannot_be_marked_are_all_reported():
    pieces = [held_piece(1), held_piece(2)]
    messages, failed = read_messages(pieces, node="n", exact=lambda sequence: False)
    assert messages == [] and [piece for piece, _ in failed] == pieces


def test_pieces_of_which_none_can_be_read_are_reported_once():
    damaged = Piece.whole(held_piece(1).batch)
    messages, failed = read_messages([damaged], node="n", exact=lambda sequence: False)
    assert messages == [] and [piece for piece, _ in failed] == [damaged]
