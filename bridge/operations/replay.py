"""What was delivered, delivered again: an intake's events of a period, out of the archive."""

import os
from functools import partial

from bridge.config.units import milliseconds
from bridge.operations.command import CommandError
from bridge.operations.quarantine import Progress
from bridge.operations.session import Session
from bridge.spool.archive_replay import ArchiveChanged, Replay

LEFT_FREE = 64 << 20
"Bytes that must be free beside what is replayed."
AT_A_TIME = 500
"Batches that are handed to their courier in one reactor turn."


async def count(session: Session, intake: str, from_ms: int, to_ms: int, progress: Progress) -> dict[str, object]:
    """How much would be replayed. Raises CommandError, OSError."""
    made = _replay(session, intake, from_ms, to_ms)
    made.archive.busy = True
    try:
        while not await session.in_thread(made.count):
            if not progress({"events": made.amount.events}):
                break
    finally:
        made.archive.busy = False
    return {"events": made.amount.events, "bytes": made.amount.size, "batches": made.amount.batches}


async def replay(
    session: Session, intake: str, from_ms: int, to_ms: int, batches: int, progress: Progress
) -> dict[str, object]:
    """Do it; ``batches``: as many as were counted. Raises CommandError, OSError, Unfinished: nothing is replayed."""
    made = _replay(session, intake, from_ms, to_ms)
    numbers = session.spool.sequences(batches + 2)
    made.archive.busy = True
    try:
        try:
            while not await session.in_thread(partial(made.stage, numbers)):
                if not progress({"events": made.amount.events}):
                    raise CommandError("interrupted: nothing was replayed")
                _check_room(session)
            if made.amount.batches != batches:
                raise ArchiveChanged("the archive is less than was counted: nothing was replayed; try again")
        except BaseException:
            await session.in_thread(made.discard)
            raise
        await session.in_thread(made.commit)
    finally:
        made.archive.busy = False
    for place, batch in enumerate(made.made):
        if place % AT_A_TIME == 0:
            await session.breathe()
        session.ledger.replay(intake, batch.count)
        session.take_in(batch)
    return {"replayed": made.amount.events, "bytes": made.amount.size, "batches": made.amount.batches}


def _replay(session: Session, intake: str, from_ms: int, to_ms: int) -> Replay:
    archive = session.spool.archive
    if archive is None:
        raise CommandError("there is no archive: spool.archive: is not configured, so what was delivered is not kept")
    if archive.busy:
        raise CommandError("another replay is under way")
    if intake not in session.config.intakes:
        raise CommandError(f"intake {intake} is not in the configuration")
    resolution = milliseconds(session.config.batch.timestamp_resolution)
    return Replay(session.spool, archive, intake, from_ms, to_ms, resolution)


def _check_room(session: Session) -> None:
    found = os.statvfs(session.spool.directory)
    if found.f_bavail * found.f_frsize < LEFT_FREE:
        raise CommandError("there is no room in the spool's filesystem: nothing was replayed")
