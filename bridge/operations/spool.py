"""Moves waiting events to another intake, or purges them: all events of an intake, or those that match a filter."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from bridge.operations.command import JSON, Progress
from bridge.operations.session import Session
from bridge.spool import Batch, Pack, batch_reader
from bridge.spool.partition import (
    PURGE,
    Backlog,
    EventFilter,
    divide,
    reassign,
    remove,
    remove_unreadable,
    sequences_needed,
)
from bridge.spool.transaction import Transaction, UnfinishedTransaction
from bridge.util.os_errors import described

MOVED_AT_ONCE = 100
"Batches and packs of one transaction, at most."

Step = Callable[[Backlog], Awaitable[int]]
"Processes batches and packs of one intake. Returns the number of events that it took out."


async def purge(session: Session, intakes: Sequence[str], event_filter: EventFilter, progress: Progress) -> JSON:
    """Removes waiting events of some intakes; the ledger counts them as dropped.

    Raises OSError, UnfinishedTransaction.
    """
    if event_filter:
        done, interrupted = await _for_each(session, intakes, _divider(session, event_filter, None), progress)
        return {"purged": done, "interrupted": interrupted}
    done, interrupted = 0, False
    for intake in intakes:
        backlog = await session.backlogs.release(intake)
        await _remove(session, backlog)
        done += sum(events for _, events in backlog)
        if interrupted := not progress({"done": done}):
            break
    return {"purged": done, "interrupted": interrupted}


async def purge_unreadable(session: Session, intakes: Sequence[str], progress: Progress) -> JSON:
    """Removes the waiting events that cannot be read; the ledger counts them as dropped.

    Raises OSError, UnfinishedTransaction.
    """

    async def drop(backlog: Backlog) -> int:
        ((stored, _),) = backlog
        (number,) = session.spool.sequences(1, exact=False)
        spool = session.spool
        divided = await session.run(partial(remove_unreadable, stored, spool.directory, number, spool.discard))
        await session.settle(divided.transaction, divided.kept)
        return divided.events

    done, interrupted = await _for_each(session, intakes, drop, progress)
    return {"purged": done, "interrupted": interrupted}


async def move(
    session: Session, intakes: Sequence[str], to: str, event_filter: EventFilter, progress: Progress
) -> JSON:
    """Moves waiting events of some intakes to another intake. Raises OSError, UnfinishedTransaction."""

    async def move_whole(backlog: Backlog) -> int:
        (number,) = session.spool.sequences(1, exact=False)
        moved = await session.run(partial(reassign, backlog, to, session.spool.directory, number))
        await session.settle(moved.transaction, moved.taken)
        return moved.events

    if event_filter:
        done, interrupted = await _for_each(session, intakes, _divider(session, event_filter, to), progress)
    else:
        done, interrupted = await _for_each(session, intakes, move_whole, progress, at_once=MOVED_AT_ONCE)
    return {"moved": done, "interrupted": interrupted}


async def _remove(session: Session, backlog: Backlog) -> None:
    """Removes whole batches and packs; the ledger counts their events as dropped."""
    if not backlog:
        return
    (number,) = session.spool.sequences(1, exact=False)

    def remove_files() -> Transaction | None:
        try:
            return remove(backlog, session.spool.directory, number)
        except (OSError, UnfinishedTransaction):
            # A full disk has no room for a transaction, but a purge must make room. Files that cannot be removed now
            # are removed later.
            session.spool.discard([stored for stored, _ in backlog])
            return None

    transaction = await session.run(remove_files)
    if transaction is None:
        transaction = Transaction(session.spool.directory, number, PURGE)
        for stored, events in backlog:
            transaction.account("purge", stored.intake, None, events)
    await session.settle(transaction)


def _divider(session: Session, event_filter: EventFilter, to: str | None) -> Step:
    """Returns a step that moves the matching events of a batch to another intake, or purges them (None)."""

    async def divide_one(backlog: Backlog) -> int:
        ((stored, _),) = backlog
        sequences = session.spool.sequences(sequences_needed(stored), exact=False)
        divided = await session.run(partial(divide, stored, event_filter, session.spool.directory, sequences, to=to))
        await session.settle(divided.transaction, (*divided.kept, *divided.taken))
        return divided.events

    return divide_one


async def _for_each(
    session: Session, intakes: Sequence[str], step: Step, progress: Progress, *, at_once: int = 1
) -> tuple[int, bool]:
    """Takes the waiting batches of some intakes through a step, ``at_once`` at a time. Returns the sum of its results,
    and True if interrupted."""
    done = 0
    for intake in intakes:
        waiting = list(await session.backlogs.release(intake))
        try:
            while waiting:
                part = waiting[:at_once]
                try:
                    done += await step(part)
                except (FileNotFoundError, batch_reader.Damaged, batch_reader.Unreadable) as error:
                    if len(part) > 1:
                        # One by one, to find the file.
                        at_once = 1
                        continue
                    # Give it back: the courier handles such files when it reads them.
                    if not isinstance(error, FileNotFoundError):
                        session.spool.on_error(described(error))
                    for stored, _ in part:
                        await _requeue(session, stored)
                    del waiting[:at_once]
                    continue
                except UnfinishedTransaction:
                    # The next start finishes the transaction.
                    del waiting[:at_once]
                    raise
                del waiting[:at_once]
                if not progress({"done": done}):
                    return done, True
        finally:
            for stored, _ in waiting:
                await _requeue(session, stored)
    return done, False


async def _requeue(session: Session, stored: Batch | Pack) -> None:
    """Queues a batch that the command did not change for delivery again. A pack is read from the beginning."""
    session.backlogs.enqueue(await session.run(stored.rewound) if isinstance(stored, Pack) else stored)
