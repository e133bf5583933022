"""What waits for an intake, taken over by another, or divided by what is written in its events.

The spool does not keep who sent an event; a payload form may show it. So events are chosen by their text: those that
hold some words, or that name a host or address as a word of its own.

Blocking; in the spool's thread. Whatever is divided is divided whole or not at all (``bridge.spool.transaction``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.spool import batch_reader, pack_blocks, pack_writer
from bridge.spool.batch import Batch
from bridge.spool.pack import Pack
from bridge.spool.transaction import Transaction


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; both hold where both are given."""

    containing: str | None = None
    source: str | None = None
    "A host or address, anywhere in the text, as a word of its own."

    def __bool__(self) -> bool:
        return bool(self.containing or self.source)

    def matcher(self) -> "EventMatcher":
        """For many events."""
        return EventMatcher(self)


class EventMatcher:
    """Words, compiled."""

    def __init__(self, words: EventFilter) -> None:
        self._containing = (words.containing or "").encode("utf-8", "surrogateescape")
        named = re.escape((words.source or "").encode("utf-8", "surrogateescape"))
        # 10.0.0.1 is neither in 110.0.0.1 nor in 10.0.0.12; a full stop may end a sentence. A colon is a part of the
        # name in an IPv6 address only.
        colon = rb":" if b":" in named else rb""
        pattern = rb"(?<![\w.%b-])%b(?![\w-]|[.%b]\w)" % (colon, named, colon)
        self._source = re.compile(pattern, re.IGNORECASE) if named else None

    def takes(self, event: bytes) -> bool:
        """Whether an event is one of them."""
        if self._containing not in event:
            return False
        return self._source is None or self._source.search(event) is not None


@dataclass(slots=True)
class Partition:
    """One batch or pack, divided."""

    kept: list[Batch | Pack] = field(default_factory=list)
    taken: list[Batch | Pack] = field(default_factory=list)
    "For the other intake; empty where it was removed."
    events: int = 0
    "That were taken, or removed."


def take_over(held: Batch | Pack, intake: str, folder: Path) -> Batch | Pack:
    """All of it is another intake's now. Raises OSError: it is where it was."""
    folder.mkdir(mode=0o750, exist_ok=True)
    if isinstance(held, Pack):
        held.path.rename(folder / held.name)
        return held.rewound(intake, folder)
    held.path.rename(folder / str(held.name))
    return replace(held, intake=intake, directory=folder)


def needs(held: Batch | Pack) -> int:
    """The sequences that dividing it may take."""
    return 1 + (held.batches if isinstance(held, Pack) else 1)


def divide(held: Batch | Pack, matcher: EventMatcher, spool: Path, numbers: range, *, to: str | None) -> Partition:
    """Take the events that match away, to another intake or for good. What is taken gets sequences of its own, of
    ``numbers``: it may come back to where the rest is, and no folder has a sequence twice.

    Raises OSError, Damaged: nothing has happened. Raises Unfinished.
    """
    result = Partition()
    transfer = Transaction(spool, numbers[0])
    fresh = iter(numbers[1:])
    kept: list[pack_blocks.BlockEntry] = []
    taken: list[pack_blocks.BlockEntry] = []
    for batch in _batches(held):
        mine, others = _lines(batch, matcher)
        if mine:
            result.events += len(mine)
            taken.append(_entry(batch, mine, next(fresh)))
        if others:
            kept.append(_entry(batch, others, batch.sequence))
    if not taken:
        result.kept.append(held.rewound() if isinstance(held, Pack) else held)
        return result
    try:
        result.kept = _staged(kept, held, held.intake, spool, transfer)
        if to is not None:
            result.taken = _staged(taken, held, to, spool, transfer)
        transfer.remove(held.path)
        transfer.commit()
    except BaseException:
        transfer.give_up()
        raise
    transfer.finish()
    for each in (*result.kept, *result.taken):
        each.disk = pack_writer.taken_by(each.path)
    return result


def events_of(held: Batch | Pack) -> Iterator[tuple[int, bytes]]:
    """Every event that waits, with its time in milliseconds (0: none) and without a batch's encoding of it.

    Raises OSError, Damaged.
    """
    for batch in _batches(held):
        for line in batch_reader.content(batch).split(b"\n")[:-1]:
            ms, event = batch.earliest, line
            if batch.timed:
                time, _, event = line.partition(b"\t")
                ms = int(time) if time.lstrip(b"-").isdigit() else batch.earliest
            yield ms, event


def _batches(held: Batch | Pack) -> Iterator[Batch]:
    if isinstance(held, Batch):
        yield held
        return
    reader = held.rewound()
    exhausted = False
    while not exhausted:
        fed = reader.read(most_batches=1, most_bytes=1, sealed=float("-inf"))
        if fed.losses:
            raise OSError(5, "damaged", str(held.path))
        exhausted = fed.exhausted
        yield from fed.batches


def _lines(batch: Batch, matcher: EventMatcher) -> tuple[list[bytes], list[bytes]]:
    mine: list[bytes] = []
    others: list[bytes] = []
    for line in batch_reader.content(batch).split(b"\n")[:-1]:
        event = line.partition(b"\t")[2] if batch.timed else line
        (mine if matcher.takes(event) else others).append(line)
    return mine, others


def _entry(batch: Batch, lines: list[bytes], sequence: int) -> pack_blocks.BlockEntry:
    data = b"\n".join((*lines, b""))
    return pack_blocks.BlockEntry(
        sequence, batch.earliest, batch.latest, len(lines), len(data), batch.encoding, batch.timed,
        batch.sending, data,
    )  # fmt: skip


def _staged(
    entries: list[pack_blocks.BlockEntry], held: Batch | Pack, intake: str, spool: Path, transfer: Transaction
) -> list[Batch | Pack]:
    """Files for these: a pack of what was in one, a batch of what was one."""
    folder = spool / intake
    if not entries:
        return []
    if isinstance(held, Pack):
        made = Pack(
            intake, folder, first=entries[0].sequence, last=entries[-1].sequence,
            earliest=min(entry.earliest for entry in entries), latest=max(entry.latest for entry in entries),
            batches=len(entries), count=sum(entry.events for entry in entries),
            size=sum(entry.size for entry in entries),
            doubtful=sum(entry.events for entry in entries if entry.sending),
        )  # fmt: skip
        transfer.write(made.path, b"".join(pack_writer.in_blocks(entries)))
        return [made]
    (entry,) = entries
    batch = replace(
        held, intake=intake, directory=folder, sequence=entry.sequence, count=entry.events, size=entry.size, disk=0,
        synced=True,
    )  # fmt: skip
    transfer.write(batch.path, entry.lines)
    return [batch]
