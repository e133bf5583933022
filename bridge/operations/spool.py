"""What waits in the spool: moved to another intake, or removed; all of it, or the events that hold some words."""

from collections.abc import Sequence
from functools import partial

from bridge.operations.quarantine import Progress
from bridge.operations.session import Held, Session
from bridge.spool import Batch, Pack, batch_reader
from bridge.spool.partition import (
    EventFilter,
    Partition,
    divide,
    reassign,
    sequences_needed,
)
from bridge.spool.transaction import UnfinishedTransaction


async def purge(session: Session, intakes: Sequence[str], words: EventFilter, progress: Progress) -> dict[str, object]:
    """Remove what waits of some intakes; in the account it is dropped. Raises OSError, Unfinished."""
    done = 0
    interrupted = False
    for intake in intakes:
        held = await session.release(intake)
        if words:
            count, interrupted = await _divide(session, intake, held, words, None, progress, done)
            done += count
        else:
            count = sum(events for _, events in held)
            session.ledger.drop_spooled(intake, count, "purged")
            await session.in_thread(partial(session.spool.discard, [each for each, _ in held]))
            done += count
            interrupted = not progress({"done": done})
        if interrupted:
            break
    return {"purged": done, "interrupted": interrupted}


async def move(
    session: Session, intakes: Sequence[str], to: str, words: EventFilter, progress: Progress
) -> dict[str, object]:
    """What waits of some intakes is another's from now on. Raises OSError, Unfinished."""
    done = 0
    interrupted = False
    for intake in intakes:
        held = await session.release(intake)
        if words:
            count, interrupted = await _divide(session, intake, held, words, to, progress, done)
        else:
            count, interrupted = await _take_over(session, intake, held, to, progress, done)
        done += count
        if interrupted:
            break
    return {"moved": done, "interrupted": interrupted}


async def _take_over(
    session: Session, intake: str, held: Held, to: str, progress: Progress, done: int
) -> tuple[int, bool]:
    count, waiting = 0, list(held)
    interrupted = False
    folder = session.spool.directory / to
    try:
        while waiting and not interrupted:
            each, events = waiting[0]
            try:
                taken: Batch | Pack = await session.in_thread(partial(reassign, each, to, folder))
            except FileNotFoundError:
                # The courier will find it so, and see to the account.
                await _put_back(session, [waiting.pop(0)])
                continue
            waiting.pop(0)
            session.ledger.move(intake, to, events)
            session.take_in(taken)
            count += events
            interrupted = not progress({"done": done + count})
    finally:
        await _put_back(session, waiting)
    return count, interrupted


async def _divide(
    session: Session, intake: str, held: Held, words: EventFilter, to: str | None, progress: Progress, done: int
) -> tuple[int, bool]:
    count, waiting = 0, list(held)
    interrupted = False
    matcher = words.matcher()
    try:
        while waiting and not interrupted:
            each, _ = waiting[0]
            numbers = session.spool.sequences(sequences_needed(each), exact=False)
            job = partial(divide, each, matcher, session.spool.directory, numbers, to=to)
            try:
                divided: Partition = await session.in_thread(job)
            except batch_reader.Damaged as error:
                # The courier will find it so, and see to it.
                session.spool.on_error(str(error))
                await _put_back(session, [waiting.pop(0)])
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
                session.take_in(part)
            count += divided.events
            interrupted = not progress({"done": done + count})
    finally:
        await _put_back(session, waiting)
    return count, interrupted


async def _put_back(session: Session, held: Held) -> None:
    """Nothing was done with these: they wait again. A pack is read from its beginning."""
    for each, _ in held:
        if isinstance(each, Pack):
            session.take_in(await session.in_thread(each.rewound))
        else:
            session.take_in(each)
