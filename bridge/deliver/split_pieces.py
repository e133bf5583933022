"""Splits pieces into ranges of a batch's events, which are held in memory. Reads files and blocks, so it runs in the
spool thread."""

from bridge.spool import Piece, batch_reader


def halves(pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Splits the pieces of one request into two lists: between batches if there are several, otherwise in the middle
    of the events.

    ``pieces`` must hold at least two events. Raises Damaged, OSError.
    """
    if len(pieces) > 1:
        # Splits where both halves hold about the same number of events, as far as whole batches allow.
        total, position, counted = sum(piece.count for piece in pieces), 1, pieces[0].count
        while position < len(pieces) - 1 and counted + pieces[position].count <= total // 2:
            counted += pieces[position].count
            position += 1
        return pieces[:position], pieces[position:]
    (piece,) = pieces
    lines, times = batch_reader.rows_of(piece)
    middle = len(lines) // 2
    parts = (slice(0, middle), slice(middle, len(lines)))
    first, second = ([batch_reader.part_of(piece, lines, times, part)] for part in parts)
    return first, second


def single_out(pieces: list[Piece], positions: set[int]) -> tuple[list[tuple[int, Piece]], list[Piece]]:
    """Cuts the events at some positions of a request out as pieces of one event, each with its position. Returns them
    and the rest.

    Raises Damaged, OSError.
    """
    chosen: list[tuple[int, Piece]] = []
    others: list[Piece] = []
    position = 0
    for piece in pieces:
        wanted = [i for i in range(position, position + piece.count) if i in positions]
        if not wanted:
            others.append(piece)
        else:
            lines, times = batch_reader.rows_of(piece)
            chosen.extend(
                (i, batch_reader.part_of(piece, lines, times, slice(i - position, i - position + 1))) for i in wanted
            )
            kept = [row for row in range(len(lines)) if row + position not in positions]
            if kept:
                rest = None if times is None else [times[row] for row in kept]
                others.append(batch_reader.part_of(piece, [lines[row] for row in kept], rest, slice(0, len(kept))))
        position += piece.count
    return chosen, others
