"""Moves waiting events to another intake, or purges them: all events of an intake, or those that match a filter."""

from collections.abc import Sequence
from functools import partial

from bridge.operations.command import Progress
from bridge.operations.session import Backlog, Session
from bridge.spool import Batch, Pack, batch_reader
from bridge.spool.partition import EventFilter, Partition, divide, reassign, sequences_needed
from bridge.spool.transaction import UnfinishedTransaction


async def purge(
    session: Session, intakes: Sequence[str], event_filter: EventFilter, progress: Progress
) -> dict[str, object]:
    """Removes waiting events of some intakes; the ledger counts them as dropped.

    Raises OSError, UnfinishedTransaction.
    """
    done = 0
    interrupted = False
    for intake in intakes:
        backlog = await session.release(intake)
        if event_filter:
            count, interrupted = await _divide_all(session, intake, backlog, event_filter, None, progress, done)
            done += count
        else:
            count = sum(events for _, events in backlog)
            session.ledger.drop_spooled(intake, count, "purged")
            await session.run(partial(session.spool.discard, [stored for stored, _ in backlog]))
            done += count
            interrupted = not progress({"done": done})
        if interrupted:
            break
    return {"purged": done, "interrupted": interrupted}


async def move(
    session: Session, intakes: Sequence[str], to: str, event_filter: EventFilter, progress: Progress
) -> dict[str, object]:
    """Moves waiting events of some intakes to another intake. Raises OSError, UnfinishedTransaction."""
    done = 0
    interrupted = False
    for intake in intakes:
        backlog = await session.release(intake)
        if event_filter:
            count, interrupted = await _divide_all(session, intake, backlog, event_filter, to, progress, done)
        else:
            count, interrupted = await _move_all(session, intake, backlog, to, progress, done)
        done += count
        if interrupted:
            break
    return {"moved": done, "interrupted": interrupted}


async def _move_all(
    session: Session, intake: str, backlog: Backlog, to: str, progress: Progress, done: int
) -> tuple[int, bool]:
    count, waiting = 0, list(backlog)
    interrupted = False
    folder = session.spool.directory / to
    try:
        while waiting and not interrupted:
            stored, events = waiting[0]
            try:
                moved: Batch | Pack = await session.run(partial(reassign, stored, to, folder))
            except FileNotFoundError:
                # The file is missing. Give it back: the courier handles missing files and corrects the ledger.
                await _requeue(session, [waiting.pop(0)])
                continue
            waiting.pop(0)
            session.ledger.move(intake, to, events)
            session.enqueue(moved)
            count += events
            interrupted = not progress({"done": done + count})
    finally:
        await _requeue(session, waiting)
    return count, interrupted


async def _divide_all(
    session: Session,
    intake: str,
    backlog: Backlog,
    event_filter: EventFilter,
    to: str | None,
    progress: Progress,
    done: int,
) -> tuple[int, bool]:
    count, waiting = 0, list(backlog)
    interrupted = False
    matcher = event_filter.matcher()
    try:
        while waiting and not interrupted:
            stored, _ = waiting[0]
            sequences = session.spool.sequences(sequences_needed(stored), exact=False)
            job = partial(divide, stored, matcher, session.spool.directory, sequences, to=to)
            try:
                divided: Partition = await session.run(job)
            except batch_reader.Damaged as error:
                # Give it back: the courier handles the damage when it reads the batch.
                session.spool.on_error(str(error))
                await _requeue(session, [waiting.pop(0)])
                continue
            except UnfinishedTransaction:
                waiting.pop(0)
                raise
            waiting.pop(0)
            if to is None:
                session.ledger.drop_spooled(intake, divided.events, "purged")
            else:
                session.ledger.move(intake, to, divided.events)
            for part in (*divided.kept, *divided.taken):
                session.enqueue(part)
            count += divided.events
            interrupted = not progress({"done": done + count})
    finally:
        await _requeue(session, waiting)
    return count, interrupted


async def _requeue(session: Session, backlog: Backlog) -> None:
    """Queues the batches that the command did not change for delivery again. Packs are read from the beginning."""
    for stored, _ in backlog:
        if isinstance(stored, Pack):
            session.enqueue(await session.run(stored.rewound))
        else:
            session.enqueue(stored)
