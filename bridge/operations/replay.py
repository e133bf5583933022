"""Delivers the archived events of an intake and a period again."""

import os
from functools import partial

from bridge.config.units import milliseconds
from bridge.operations.command import JSON, CommandError, Progress
from bridge.operations.session import Session
from bridge.spool.archive_replay import ArchiveChanged, Replay

MIN_FREE_BYTES = 64 << 20
"Bytes that must stay free in the filesystem of the spool during a replay."
BATCHES_PER_TURN = 500
"Maximum number of batches that are queued for delivery in one reactor turn."


async def count(session: Session, intake: str, from_ms: int, to_ms: int, progress: Progress) -> JSON:
    """Counts the events, bytes and batches that a replay would queue. Raises CommandError, OSError."""
    operation = _replay(session, intake, from_ms, to_ms)
    with operation.archive.in_use():
        while not await session.run(operation.count):
            if not progress({"events": operation.amount.events}):
                break
    return {"events": operation.amount.events, "bytes": operation.amount.size, "batches": operation.amount.batches}


async def replay(session: Session, intake: str, from_ms: int, to_ms: int, batches: int, progress: Progress) -> JSON:
    """Copies the events of a period from the archive to the spool, all or none.

    ``batches`` is the number that `count` returned. If CommandError, ArchiveChanged or OSError is raised, no events are
    replayed. Raises UnfinishedTransaction.
    """
    operation = _replay(session, intake, from_ms, to_ms)
    sequences = session.spool.sequences(batches + 2)
    with operation.archive.in_use():
        try:
            while not await session.run(partial(operation.stage, sequences)):
                if not progress({"events": operation.amount.events}):
                    raise CommandError("interrupted. Nothing was replayed")
                _check_free_space(session)
            if operation.amount.batches != batches:
                raise ArchiveChanged("the archive has less than was counted", "Nothing was replayed; try again")
        except BaseException:
            await session.run(operation.discard)
            raise
        await session.settle(await session.run(operation.commit))
    for position, batch in enumerate(operation.made):
        if position % BATCHES_PER_TURN == 0:
            await session.next_turn()
        session.backlogs.enqueue(batch)
    return {"replayed": operation.amount.events, "bytes": operation.amount.size, "batches": operation.amount.batches}


def _replay(session: Session, intake: str, from_ms: int, to_ms: int) -> Replay:
    archive = session.spool.archive
    if archive is None:
        raise CommandError("there is no archive: spool.archive: is not configured, so delivered events are not kept")
    if archive.busy:
        raise CommandError("another replay is running. Wait until it has ended")
    if intake not in session.config.intakes:
        raise CommandError(f"intake {intake} is not in the configuration")
    resolution = milliseconds(session.config.batch.timestamp_resolution)
    return Replay(session.spool, archive, intake, from_ms, to_ms, resolution)


def _check_free_space(session: Session) -> None:
    filesystem = os.statvfs(session.spool.directory)
    if filesystem.f_bavail * filesystem.f_frsize < MIN_FREE_BYTES:
        raise CommandError(
            f"{session.spool.directory}: less than {MIN_FREE_BYTES >> 20} MiB is free. Nothing was replayed."
            f" Free some space, or replay a shorter period"
        )
