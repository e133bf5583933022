"""Quarantine: what is held is brought back by the routes of today, or removed. One file after the other, each whole."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bridge.operations.session import Session, rerouter
from bridge.spool.quarantine import QuarantineFile
from bridge.spool.reprocess import (
    SEQUENCES,
    Reprocessor,
    ReprocessResult,
    Selection,
)
from bridge.spool.transaction import UnfinishedTransaction

Progress = Callable[[dict[str, object]], bool]
"Told how far it is; False: nobody waits any more, stop here."


async def retry(
    session: Session, reasons: Sequence[str], selection: Selection, progress: Progress
) -> dict[str, object]:
    """Bring frames back: their number by intake, how many a route drops, and how many stayed. Raises OSError."""
    routes = await session.in_thread(lambda: rerouter(session.config))
    return await _each(session, reasons, selection, progress, routes, routes.retry)


async def purge(
    session: Session, reasons: Sequence[str], selection: Selection, progress: Progress
) -> dict[str, object]:
    """Remove frames; in the account they are dropped. Raises OSError."""
    routes = await session.in_thread(lambda: rerouter(session.config))
    return await _each(session, reasons, selection, progress, routes, routes.purge)


Work = Callable[..., ReprocessResult]


async def _each(
    session: Session, reasons: Sequence[str], selection: Selection, progress: Progress, routes: Reprocessor, work: Work
) -> dict[str, object]:
    moved: Counter[str] = Counter()
    filtered = purged = stayed = done = 0
    waiting = [(reason, file) for reason in reasons for file in await _claimed(session, reason)]
    total = sum(file.count for _, file in waiting)
    interrupted = not progress({"done": 0, "total": total})
    try:
        while waiting and not interrupted:
            reason, file = waiting[0]
            numbers = session.spool.sequences(SEQUENCES)
            try:
                outcome = await session.in_thread(partial(work, session.spool, reason, file, selection, numbers))
            except UnfinishedTransaction:
                # Its frames are quarantined until then.
                waiting.pop(0)
                raise
            waiting.pop(0)
            await _count(session, reason, file, outcome)
            for (_, intake), count in outcome.moves.items():
                moved[intake] += count
            filtered += outcome.filtered.total()
            purged += outcome.purged.total()
            stayed += outcome.stayed
            done += file.count
            interrupted = not progress({"done": done, "total": total})
    finally:
        for reason, file in waiting:
            await _files(session, reason, partial(session.spool.quarantine.give_back, reason, [file]))
    return {
        "moved": dict(moved), "filtered": filtered, "purged": purged, "stayed": stayed, "interrupted": interrupted,
    }  # fmt: skip


async def _claimed(session: Session, reason: str) -> list[QuarantineFile]:
    found: list[QuarantineFile] = await _files(session, reason, partial(session.spool.quarantine.claim, reason))
    return found


async def _files(session: Session, reason: str, job: Callable[[], Any]) -> Any:
    """*Refused* belongs to the spool's thread, the other reasons to the reactor."""
    return await session.in_thread(job) if reason == "refused" else job()


async def _count(session: Session, reason: str, file: QuarantineFile, outcome: ReprocessResult) -> None:
    """The account moves in one turn."""
    ledger, quarantine = session.ledger, session.spool.quarantine
    if outcome.remaining is file:
        await _files(session, reason, partial(quarantine.give_back, reason, [file]))
        return
    await _files(session, reason, partial(quarantine.replace, reason, file, outcome.remaining))
    for (publisher, intake), count in outcome.moves.items():
        ledger.release(publisher, intake, count)
    for publisher, count in outcome.filtered.items():
        ledger.filter_quarantined(publisher, count)
    for publisher, count in outcome.purged.items():
        ledger.drop_quarantined(publisher, count, "purged")
    for batch in outcome.batches:
        session.take_in(batch)
