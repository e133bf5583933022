"""Moves waiting events to another intake, or purges them: all events of an intake, or those that match a filter."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from bridge.operations.command import JSON, Progress
from bridge.operations.session import Session
from bridge.spool import Batch, Pack, batch_reader
from bridge.spool.partition import EventFilter, divide, reassign, sequences_needed
from bridge.spool.transaction import UnfinishedTransaction

Step = Callable[[str, Batch | Pack, int], Awaitable[int]]
"Processes one batch or pack of an intake, with its number of unsettled events. Returns the events that it took out."


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
        count = sum(events for _, events in backlog)
        session.ledger.drop_spooled(intake, count, "purged")
        await session.run(partial(session.spool.discard, [stored for stored, _ in backlog]))
        done += count
        if interrupted := not progress({"done": done}):
            break
    return {"purged": done, "interrupted": interrupted}


async def move(
    session: Session, intakes: Sequence[str], to: str, event_filter: EventFilter, progress: Progress
) -> JSON:
    """Moves waiting events of some intakes to another intake. Raises OSError, UnfinishedTransaction."""

    async def move_whole(intake: str, stored: Batch | Pack, events: int) -> int:
        moved = await session.run(partial(reassign, stored, to, session.spool.directory / to))
        session.ledger.move(intake, to, events)
        session.backlogs.enqueue(moved)
        return events

    step = _divider(session, event_filter, to) if event_filter else move_whole
    done, interrupted = await _for_each(session, intakes, step, progress)
    return {"moved": done, "interrupted": interrupted}


def _divider(session: Session, event_filter: EventFilter, to: str | None) -> Step:
    """Returns a step that moves the matching events of a batch to another intake, or purges them (None)."""

    async def divide_one(intake: str, stored: Batch | Pack, events: int) -> int:
        sequences = session.spool.sequences(sequences_needed(stored), exact=False)
        divided = await session.run(partial(divide, stored, event_filter, session.spool.directory, sequences, to=to))
        if to is None:
            session.ledger.drop_spooled(intake, divided.events, "purged")
        else:
            session.ledger.move(intake, to, divided.events)
        for part in (*divided.kept, *divided.taken):
            session.backlogs.enqueue(part)
        return divided.events

    return divide_one


async def _for_each(session: Session, intakes: Sequence[str], step: Step, progress: Progress) -> tuple[int, bool]:
    """Takes each waiting batch of some intakes through a step. Returns the sum of its results, and True if
    interrupted."""
    done = 0
    for intake in intakes:
        waiting = list(await session.backlogs.release(intake))
        try:
            while waiting:
                stored, events = waiting[0]
                try:
                    done += await step(intake, stored, events)
                except (FileNotFoundError, batch_reader.Damaged) as error:
                    # Give it back: the courier handles missing and damaged files when it reads them.
                    if isinstance(error, batch_reader.Damaged):
                        session.spool.on_error(str(error))
                    await _requeue(session, stored)
                    waiting.pop(0)
                    continue
                except UnfinishedTransaction:
                    # The next start finishes the transaction.
                    waiting.pop(0)
                    raise
                waiting.pop(0)
                if not progress({"done": done}):
                    return done, True
        finally:
            for stored, _ in waiting:
                await _requeue(session, stored)
    return done, False


async def _requeue(session: Session, stored: Batch | Pack) -> None:
    """Queues a batch that the command did not change for delivery again. A pack is read from the beginning."""
    session.backlogs.enqueue(await session.run(stored.rewound) if isinstance(stored, Pack) else stored)
