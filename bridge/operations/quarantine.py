"""Retries or purges quarantined frames, one quarantine file at a time. A retry uses the current routes."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from bridge.config import Config
from bridge.ingest import from_config as ingest_config
from bridge.operations.command import JSON, Progress
from bridge.operations.session import Session
from bridge.spool import Spool
from bridge.spool.quarantine_file import QuarantineFile
from bridge.spool.reprocess import SEQUENCES, Reprocessor, ReprocessResult, Selection
from bridge.spool.transaction import UnfinishedTransaction
from bridge.storage import from_config as storage_config

T = TypeVar("T")


async def retry(session: Session, reasons: Sequence[str], selection: Selection, progress: Progress) -> JSON:
    """Queues quarantined frames for delivery: refused events to their intake, others by the current routes.

    Returns the number of frames queued for each intake, dropped by a route, and left in quarantine. Raises OSError,
    UnfinishedTransaction.
    """
    return await _process_files(session, reasons, selection, progress, Reprocessor.retry)


async def purge(session: Session, reasons: Sequence[str], selection: Selection, progress: Progress) -> JSON:
    """Removes quarantined frames; the ledger counts them as dropped. Raises OSError, UnfinishedTransaction."""
    return await _process_files(session, reasons, selection, progress, Reprocessor.purge)


async def _process_files(
    session: Session,
    reasons: Sequence[str],
    selection: Selection,
    progress: Progress,
    process: Callable[[Reprocessor, Spool, str, QuarantineFile, Selection, range], ReprocessResult],
) -> JSON:
    # Compiling many routes takes a while.
    reprocessor = await session.run(partial(_reprocessor, session.config))
    moved: Counter[str] = Counter()
    filtered = purged = stayed = done = 0
    claim = session.spool.quarantine.claim
    waiting = [(reason, file) for reason in reasons for file in await _run_job(session, reason, partial(claim, reason))]
    total = sum(file.count for _, file in waiting)
    interrupted = not progress({"done": 0, "total": total})
    try:
        while waiting and not interrupted:
            reason, file = waiting[0]
            sequences = session.spool.sequences(SEQUENCES)
            try:
                job = partial(process, reprocessor, session.spool, reason, file, selection, sequences)
                result = await session.run(job)
            except UnfinishedTransaction:
                # The next start finishes the transaction. Until then, the ledger counts its frames as quarantined.
                waiting.pop(0)
                raise
            waiting.pop(0)
            await _apply(session, reason, file, result)
            for (_, intake), count in result.moves.items():
                moved[intake] += count
            filtered += result.filtered.total()
            purged += result.purged.total()
            stayed += result.stayed
            done += file.count
            interrupted = not progress({"done": done, "total": total})
    finally:
        for reason, file in waiting:
            await _run_job(session, reason, partial(session.spool.quarantine.give_back, reason, [file]))
    return {
        "moved": dict(moved), "filtered": filtered, "purged": purged, "stayed": stayed, "interrupted": interrupted,
    }  # fmt: skip


def _reprocessor(config: Config) -> Reprocessor:
    return Reprocessor(
        ingest_config.router(config), ingest_config.group_limits(config), storage_config.batch_limits(config)
    )


class RetryPreview(NamedTuple):
    """Numbers of frames that a retry would queue for each intake, drop by a route, and leave in quarantine."""

    moved: dict[str, int]
    filtered: int
    stayed: int


def preview(config: Config, reasons: Sequence[str], selection: Selection) -> RetryPreview:
    """Returns what a retry by the routes of a configuration would do with the selected frames, and changes nothing.

    Needs no lock; a running bridge may add and remove frames meanwhile. Raises OSError.
    """
    reprocessor = _reprocessor(config)
    moved: Counter[str] = Counter()
    filtered = stayed = 0
    for reason in reasons:
        for path in sorted((config.spool.directory / ".quarantine" / reason).glob("*.jsonl")):
            try:
                result = reprocessor.preview(reason, QuarantineFile(path, 0), selection)
            except FileNotFoundError:
                continue
            for (_, intake), count in result.moves.items():
                moved[intake] += count
            filtered += result.filtered.total()
            stayed += result.stayed
    return RetryPreview(dict(moved), filtered, stayed)


async def _run_job(session: Session, reason: str, job: Callable[[], T]) -> T:
    """Runs a job on quarantine files: on the spool thread for reason *refused*, on the reactor for the others."""
    return await session.run(job) if reason == "refused" else job()


async def _apply(session: Session, reason: str, file: QuarantineFile, result: ReprocessResult) -> None:
    """Replaces or gives back a processed quarantine file, and counts its frames."""
    quarantine = session.spool.quarantine
    if result.remaining is file:
        await _run_job(session, reason, partial(quarantine.give_back, reason, [file]))
        return
    await _run_job(session, reason, partial(quarantine.replace, reason, file, result.remaining))
    await session.settle(result.transaction, result.batches)
