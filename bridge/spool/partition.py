"""Moves queued batches and packs to another intake, or splits them by the text of their events.

The spool does not record the source of an event, but a payload form may contain it. So events are selected by their
text: events that contain a string, or that contain a host name or address as a separate word.

Blocking calls; runs on the spool thread. A split happens completely or not at all (``bridge.spool.transaction``).
"""

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from bridge.spool import batch_reader, pack_blocks, pack_writer
from bridge.spool.batch import Batch
from bridge.spool.pack import Pack
from bridge.spool.pack_name import PackName
from bridge.spool.transaction import Transaction

MOVE, PURGE = "spool-move", "spool-purge"
"Names of the commands."

Backlog = Sequence[tuple[Batch | Pack, int]]
"Batches and packs of one intake, each with the number of its events that are not settled."


@dataclass(frozen=True)
class EventFilter:
    """A selection of events by their text. If both conditions are set, an event must meet both."""

    containing: str | None = None
    source: str | None = None
    "A host name or address that occurs anywhere in the text as a separate word."

    def __bool__(self) -> bool:
        return bool(self.containing or self.source)

    @cached_property
    def _text(self) -> bytes:
        return (self.containing or "").encode("utf-8", "surrogateescape")

    @cached_property
    def _word(self) -> re.Pattern[bytes] | None:
        named = re.escape((self.source or "").encode("utf-8", "surrogateescape"))
        # 10.0.0.1 must match neither 110.0.0.1 nor 10.0.0.12. A full stop may follow, as the end of a sentence. A colon
        # belongs to the name only in an IPv6 address.
        colon = rb":" if b":" in named else rb""
        pattern = rb"(?<![\w.%b-])%b(?![\w-]|[.%b]\w)" % (colon, named, colon)
        return re.compile(pattern, re.IGNORECASE) if named else None

    def matches(self, event: bytes) -> bool:
        """Returns True if an event matches the filter."""
        return self._text in event and (self._word is None or self._word.search(event) is not None)


@dataclass(slots=True)
class Partition:
    """The result of splitting one batch or pack."""

    kept: list[Batch | Pack] = field(default_factory=list)
    taken: list[Batch | Pack] = field(default_factory=list)
    "Batches or packs for the other intake. Empty if the events were removed."
    events: int = 0
    "Number of events that were moved or removed."
    transaction: Transaction | None = None
    "The finished transaction, whose account is not in the ledger yet; None if nothing has changed."


def reassign(backlog: Backlog, intake: str, spool: Path, number: int) -> Partition:
    """Moves whole batches and packs to another intake. ``number`` is a sequence for the transaction.

    Raises OSError; then no file has moved. Raises UnfinishedTransaction.
    """
    folder, result = spool / intake, Partition(transaction=Transaction(spool, number, MOVE))
    assert result.transaction is not None
    with result.transaction.completion():
        for item, events in backlog:
            result.transaction.rename(item.path, folder / item.path.name)
            result.transaction.account("move", item.intake, intake, events)
            result.events += events
    result.taken = [
        item.rewound(intake, folder) if isinstance(item, Pack) else replace(item, intake=intake, directory=folder)
        for item, _ in backlog
    ]
    return result


def remove(backlog: Backlog, spool: Path, number: int) -> Transaction:
    """Removes whole batches and packs. ``number`` is a sequence for the transaction.

    Raises OSError; then no file is removed. Raises UnfinishedTransaction.
    """
    transaction = Transaction(spool, number, PURGE)
    with transaction.completion():
        for item, events in backlog:
            transaction.remove(item.path)
            transaction.account("purge", item.intake, None, events)
    return transaction


def remove_unreadable(
    item: Batch | Pack, spool: Path, number: int, discard: Callable[[Sequence[Batch | Pack]], None]
) -> Partition:
    """Removes the events of a batch or pack that cannot be read: the file, or some blocks of a pack.

    ``number`` is a sequence for the transaction. If the disk is full, ``discard`` deletes a whole file without a
    committed transaction. Raises OSError; then nothing has changed. Raises UnfinishedTransaction.
    """
    result = Partition()
    rest: Batch | Pack | None
    if isinstance(item, Pack):
        copy = _read_as_far_as_possible(item)
        result.events = copy.unread[0]
        rest = copy.without_unread() if result.events else item.rewound()
    else:
        result.events = 0 if _is_readable(item) else item.count
        rest = None if result.events else item
    result.kept = [] if rest is None else [rest]
    if not result.events:
        return result
    if not os.access(item.directory, os.W_OK | os.X_OK):
        # The next starts could not finish the transaction either.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(item.directory))
    result.transaction = Transaction(spool, number, PURGE)
    try:
        with result.transaction.completion():
            if rest is None:
                result.transaction.remove(item.path)
            else:
                result.transaction.rename(item.path, rest.path)
            result.transaction.account("purge", item.intake, None, result.events)
    except OSError as error:
        if rest is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # A full disk has no room for a transaction, but a purge must make room.
        discard([item])
    return result


def _read_as_far_as_possible(pack: Pack) -> Pack:
    """Returns a copy of a pack that has not read only what cannot be read. Raises OSError."""
    copy = pack.rewound()
    try:
        while not (fed := copy.read(most_batches=1, most_bytes=1, sealed=float("-inf"))).exhausted:
            if fed.stuck is not None:
                break
    except FileNotFoundError:
        copy.file_missing()
    except OSError as error:
        if not batch_reader.concerns_one_file(error):
            raise
    return copy


def _is_readable(batch: Batch) -> bool:
    """Returns False if the file of a batch cannot be read. Raises OSError.

    Does not read a batch whose lines are in memory, because reading would take them from there.
    """
    if batch.fresh is not None:
        return True
    try:
        batch_reader.content(batch)
    except batch_reader.Unreadable:
        return False
    except batch_reader.Damaged:
        # The courier handles it.
        return True
    return True


def sequences_needed(item: Batch | Pack) -> int:
    """Returns the highest number of sequences that splitting this batch or pack can use."""
    return 1 + (item.batches if isinstance(item, Pack) else 1)


def divide(item: Batch | Pack, event_filter: EventFilter, spool: Path, numbers: range, *, to: str | None) -> Partition:
    """Moves the events that match to another intake, or removes them if ``to`` is None.

    Moved batches get new sequences from ``numbers``. They may later return to the intake of the remaining events, and
    no folder may contain a sequence twice.

    Raises OSError or Damaged; then nothing has changed. Raises UnfinishedTransaction.
    """
    result = Partition()
    transaction = Transaction(spool, numbers[0], PURGE if to is None else MOVE)
    new_sequences = iter(numbers[1:])
    kept: list[pack_blocks.BlockEntry] = []
    taken: list[pack_blocks.BlockEntry] = []
    for batch in _batches(item):
        matching, remaining = _lines(batch, event_filter)
        if matching:
            result.events += len(matching)
            taken.append(_entry(batch, matching, next(new_sequences)))
        if remaining:
            kept.append(_entry(batch, remaining, batch.sequence))
    if not taken:
        result.kept.append(item.rewound() if isinstance(item, Pack) else item)
        return result
    with transaction.completion():
        result.kept = _staged(kept, item, item.intake, spool, transaction)
        if to is not None:
            result.taken = _staged(taken, item, to, spool, transaction)
        transaction.remove(item.path)
        transaction.account("purge" if to is None else "move", item.intake, to, result.events)
    result.transaction = transaction
    for each in (*result.kept, *result.taken):
        each.measure()
    return result


def _batches(item: Batch | Pack) -> Iterator[Batch]:
    if isinstance(item, Batch):
        yield item
        return
    for fed in item.read_all(sealed=float("-inf")):
        if fed.losses:
            raise OSError(5, "damaged", str(item.path))
        yield from fed.batches


def _lines(batch: Batch, event_filter: EventFilter) -> tuple[list[bytes], list[bytes]]:
    matching: list[bytes] = []
    remaining: list[bytes] = []
    for line in batch_reader.content(batch).split(b"\n")[:-1]:
        event = line.partition(b"\t")[2] if batch.timed else line
        (matching if event_filter.matches(event) else remaining).append(line)
    return matching, remaining


def _entry(batch: Batch, lines: list[bytes], sequence: int) -> pack_blocks.BlockEntry:
    data = b"\n".join((*lines, b""))
    return pack_writer.entry_of(batch, data)._replace(sequence=sequence, events=len(lines), size=len(data))


def _staged(
    entries: list[pack_blocks.BlockEntry], item: Batch | Pack, intake: str, spool: Path, transaction: Transaction
) -> list[Batch | Pack]:
    """Writes the entries to the transaction: as a pack if they come from a pack, else as one batch."""
    folder = spool / intake
    if not entries:
        return []
    if isinstance(item, Pack):
        made = Pack(intake, folder, PackName.of(entries))
        transaction.write(made.path, b"".join(pack_writer.encode_blocks(entries)))
        return [made]
    (entry,) = entries
    batch = replace(
        item, intake=intake, directory=folder, sequence=entry.sequence, count=entry.events, size=entry.size, disk=0,
        synced=True,
    )  # fmt: skip
    transaction.write(batch.path, entry.lines)
    return [batch]
