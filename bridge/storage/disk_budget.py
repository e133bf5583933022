"""Keeps the spool within its budget, and its bridge honest on a disk that is full or cannot be written.

About once a second the filesystem is asked, in the spool's thread; between two looks the budget is kept by arithmetic
(``bridge.spool.budget``). *Full* is a state of one intake. With ``drop-oldest`` its oldest batches go, never those in
flight, and only where none can go is something refused; with ``pause`` it is refused until there is room again: a
stream waits (``bridge.ingest.backpressure``), a datagram is dropped and counted.

A write that finds the disk full (ENOSPC, EDQUOT, though the budget saw room: a quota, inodes, a neighbour) gives up the
reserve and the archive, and nothing is written to the spool until there is room for the reserve and a little more. How
much was too much is remembered for a while. Any other error is tried again with each write; the alarm ends when a
file can be made again where it failed.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from bridge.accounting import Ledger
from bridge.spool import Batch, Pack, Spool
from bridge.spool.budget import (
    MOST_GRANULE,
    BudgetTerms,
    DiskState,
    Forecast,
    Shares,
    limit,
)
from bridge.spool.fsync_policy import FsyncPolicy
from bridge.spool.reserve import Reserve
from bridge.storage import disk_usage
from bridge.storage.budget_members import ArchiveUsage, BudgetMember, NoArchive
from bridge.storage.disk_usage import FULL, SOME, DiskUsage
from bridge.util.alarms import AlarmSink

EVERY = 1.0
"Seconds between two looks."
REMEMBERED = 300.0
"Seconds that a bound which the filesystem does not tell is kept to."
_BESIDE = 512
"Bytes that an append is taken for beside its own: names, blocks begun."

JSON = dict[str, object]


class DiskBudget:
    """One bridge's. ``work`` runs a job in the spool's thread, then its result on the reactor; ``clock`` rises
    steadily, in seconds."""

    def __init__(
        self,
        spool: Spool,
        *,
        terms: BudgetTerms,
        fsync_policy: FsyncPolicy,
        stocks: Mapping[str, BudgetMember],
        ledger: Ledger,
        alarms: AlarmSink,
        work: Callable[[Callable[[], object], Callable[[object], None]], None],
        clock: Callable[[], float],
    ) -> None:
        self.full: set[str] = set()
        "Intakes that have no room."
        self.on_room: Callable[[], None] = lambda: None
        "Called when something was full and may be so no longer."
        self.archive: ArchiveUsage = NoArchive()
        self.reserve = Reserve(spool.directory)
        self.evicted: Counter[str] = Counter()
        "Events that were dropped for newer ones, by intake."
        self._spool = spool
        self._terms = terms
        self._fsync_policy = fsync_policy
        self._stocks = stocks
        self._ledger = ledger
        self._alarms = alarms
        self._work = work
        self._clock = clock
        self._forecast = Forecast()
        self._disk: DiskState | None = None
        self._used = self._limit = 0
        self._whole: int | None = None
        "The limit, once it is known."
        self._used_then = 0
        "When the disk was asked."
        self._granule = MOST_GRANULE
        self._grown = 0
        self._left: dict[str, int] = {}
        "Of those that are full, how much they may still write."
        self._gone: list[Batch | Pack] = []
        "Dropped by the settling under way; their files are still there."
        self._max_bytes = spool.limits.max_bytes
        self._refused: set[str] = set()
        "Those whose senders wait."
        self._broken: dict[str, str] = {}
        "Intakes for which a write failed, with the reason."
        self._disk_full = False
        self._needed = SOME
        "Bytes with which a full disk is full no longer."
        self._most: int | None = None
        self._most_until = 0.0
        self._looking = False
        self._response_handler = False
        self._shrinking = False

    # --- asked with each append --------------------------------------------------------------------------------------

    @property
    def pauses(self) -> bool:
        """Whether who can wait shall."""
        return self._terms.pause

    def refuses(self, intake: str, size: int) -> str | None:
        """Why ``size`` bytes for an intake may not be written now; None: they may."""
        if self._disk_full:
            return "disk_full"
        self._grown += size + _BESIDE
        left = self._left.get(intake)
        if left is not None:
            left -= size + _BESIDE
            self._left[intake] = left
        if self._grown >= self._granule or (left is not None and left < 0):
            self.settle(intake, size + _BESIDE)
        return "spool_full" if intake in self._refused or self._left.get(intake, 0) < 0 else None

    def failed(self, intake: str, error: OSError) -> str:
        """A write failed; the reason to count what it held under."""
        why = error.strerror or str(error)
        self._broken[intake] = why
        if error.errno not in FULL:
            text = f"spool {self._spool.directory}: cannot write for intake {intake}: {why}; its events are lost"
            self._alarms.on("spool", f"intake {intake}", text)
            return "spool_write_failed"
        if not self._disk_full:
            self._disk_full = True
            wait = "who can wait does" if self._terms.pause else "events are lost"
            self._alarms.on(
                "spool", "disk",
                f"spool {self._spool.directory}: {why}, when writing for intake {intake}; {wait} until there is room:"
                f" free some, or lower spool.max_size below what the disk gives",
            )  # fmt: skip
            self._work(self._give_way, self._gave_way)
        return "disk_full"

    def change(self, terms: BudgetTerms) -> None:
        """Go on under another configuration; to be told after the spool's limits have changed."""
        self._terms = terms
        self._max_bytes = self._spool.limits.max_bytes
        self._whole = None
        self.settle()

    # --- looked at ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """At start, when nothing else runs: ask, and make the reserve."""
        self._seen(self._see(()))

    def look(self) -> None:
        """Ask the filesystem, keep the budget, sync what is due."""
        if not self._looking:
            self._looking = True
            broken = tuple(self._broken)
            self._work(lambda: self._see(broken), self._seen)
        if due := self._fsync_policy.due():
            self._work(lambda: self._fsync_policy.try_sync(due), lambda nothing: None)

    def settle(self, wanted: str | None = None, size: int = 0) -> None:
        """Bring every intake within what it may have, and make room for ``size`` bytes more of one."""
        if self._response_handler:
            return
        self._response_handler = True
        try:
            room = self._settle(wanted, size)
        finally:
            self._response_handler = False
        if room:
            self.on_room()

    def _settle(self, wanted: str | None, size: int) -> bool:
        self._grown = 0
        if self._disk is None:
            return False
        shares = self._shares()
        pause, granule = self._terms.pause, shares.granule
        self._granule = granule
        # What is open cannot be dropped: a batch must be a small part of what its intake may have.
        most = min(self._max_bytes, max(SOME, shares.share // 8))
        if self._spool.limits.max_bytes != most:
            self._spool.limits = replace(self._spool.limits, max_bytes=most)
        names = sorted(shares.uses, key=shares.borrowed, reverse=True)
        full = {name for name in names if shares.room(name) < granule}
        # Some room more than none, or it would be full again with the next read.
        full |= {name for name in self.full & set(names) if shares.room(name) < 3 * granule}
        if not pause:
            # Nothing goes before it must: the disk may get room without.
            for name in names:
                self._make_room(name, 0, shares)
            if wanted in full and shares.room(wanted) < size:
                self._level(wanted, size + granule, shares, names)
        if self._gone:
            gone, self._gone = self._gone, []
            self._work(lambda: self._spool.give_up(gone), lambda nothing: self.look() if self._disk_full else None)
        self._used = shares.used
        self._left = {name: shares.room(name) - (size if name == wanted else 0) for name in full}
        for name in full - self.full:
            does = "its senders wait" if pause else "its oldest events are dropped"
            self._alarms.on("full", name, f"intake {name} has filled its part of the spool: {does}")
        for name in self.full - full:
            self._alarms.off("full", name, f"intake {name} has room in the spool again")
        self.full = full
        waited, self._refused = self._refused, set(full) if pause else set()
        return bool(waited - self._refused)

    def _shares(self) -> Shares:
        uses = self._uses()
        used = sum(uses.values())
        most = self._most if self._clock() < self._most_until else None
        # Little is dropped for the reserve: better a small one, until there is room for more.
        self._needed = min(self.reserve.size, used // 8) + SOME
        kept_free = 0 if self.reserve.held or not self.reserve.size else self._needed + SOME
        assert self._disk is not None
        aside = self.archive.disk
        # What we wrote since the disk was asked is not available any more; what we removed is.
        disk = DiskState(self._disk.total, max(0, self._disk.available - (used + aside - self._used_then)))
        self._whole = limit(self._terms, disk, used=used + aside, before=self._whole, kept_free=kept_free, most=most)
        self._limit = self._whole
        if aside and not self._shrinking and (too_much := used + aside + MOST_GRANULE - self._limit) > 0:
            # The archive is room that is taken until somebody needs it.
            self._shrinking = True
            self._work(lambda: self.archive.shrink(min(aside, too_much)), self._shrunk)
        parked = {name for name, pending in self._stocks.items() if pending.parked is not None}
        return Shares(self._limit, uses, frozenset(parked), pause=self._terms.pause)

    def _shrunk(self, freed: object) -> None:
        self._shrinking = False

    def _level(self, wanted: str, size: int, shares: Shares, names: list[str]) -> None:
        """Make room for ``size`` bytes of one: those who borrow more than it give back first, the largest at once."""
        own = shares.borrowed(wanted)
        for name in names:
            # What a parked intake borrows is no reason for others to give.
            if shares.borrowed(name) > own and (not own or not shares.parked(wanted) or shares.parked(name)):
                self._make_room(wanted, size, shares, publisher=name, down_to=own)
        self._make_room(wanted, size, shares)

    def _make_room(
        self, name: str, size: int, shares: Shares, *, publisher: str | None = None, down_to: int = -1
    ) -> None:
        """Drop oldest batches, of the intake itself or of a giver who borrows, until it has room for ``size`` bytes."""
        publisher = publisher or name
        while shares.room(name) < size and shares.borrowed(publisher) > down_to:
            batch = self._oldest(publisher) if shares.uses[publisher] else None
            if batch is None:
                return
            shares.release(publisher, batch.disk)
            self._ledger.drop_spooled(publisher, batch.unacknowledged, "spool_full")
            self.evicted[publisher] += batch.unacknowledged
            self._gone.append(batch)

    def _oldest(self, name: str) -> Batch | Pack | None:
        pending = self._stocks.get(name)
        return None if pending is None else pending.drop_oldest()

    def _uses(self) -> dict[str, int]:
        uses = {name: pending.waiting_disk for name, pending in self._stocks.items()}
        for name, size in self._spool.open_disk().items():
            uses[name] = uses.get(name, 0) + size
        return uses

    def _see(self, broken: tuple[str, ...]) -> DiskUsage:
        return disk_usage.see(
            self._spool.directory, self.reserve, terms=self._terms, bound=self._limit, needed=self._needed,
            broken=broken,
        )  # fmt: skip

    def _give_way(self) -> bool:
        """The disk is full; whether its filesystem says so too. In the spool's thread."""
        explained = disk_usage.is_nearly_full(self._spool.directory)
        self.reserve.release()
        self.archive.shrink(self.reserve.size + SOME)
        return explained

    def _gave_way(self, explained: object) -> None:
        if not explained:
            # A quota, perhaps, or too many files: some less than now is what we may have.
            used = sum(self._uses().values())
            self._most, self._most_until = max(MOST_GRANULE, used - used // 20), self._clock() + REMEMBERED
        self.look()

    def _seen(self, result: object) -> None:
        self._looking = False
        assert isinstance(result, DiskUsage)
        now = self._clock()
        if result.disk is not None:
            self._disk = result.disk
            self._used_then = sum(self._uses().values()) + self.archive.disk
        # On a full disk a small file may be made long before there is room.
        mended = result.mended if result.room or not self._disk_full else []
        for intake in mended:
            self._broken.pop(intake, None)
            self._alarms.off("spool", f"intake {intake}", f"spool: intake {intake} can be written again")
        if self._disk_full and result.room and not self._broken:
            self._disk_full = False
            self._alarms.off("spool", "disk", f"spool {self._spool.directory}: there is room again")
            self.settle()
            # A full disk holds senders whose intake is not.
            self.on_room()
        else:
            self.settle()
        self._forecast.note(now, self._used)
        self._warn()

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def full_in(self) -> float | None:
        """Seconds until the spool is full at the present rate; None: it does not grow."""
        return self._forecast.seconds(self._clock(), self._used, self._limit)

    def _warn(self) -> None:
        left = self.full_in
        when = "" if left is None else f"; at the present rate it is full in about {_in_words(left)}"
        for percent in (70, 90):
            about = f"{percent} %"
            if self._limit and self._used * 100 >= self._limit * percent:
                if ("budget", about) not in self._alarms.active:
                    # The words stay while it lasts, or the estimate in them would say it anew at each look.
                    self._alarms.on(
                        "budget", about, f"spool: {percent} % of what it may hold ({self._limit} bytes) is used{when}"
                    )
            elif self._used * 100 < self._limit * (percent - 5) or not self._used:
                self._alarms.off("budget", about, f"spool: less than {percent} % of what it may hold is used")

    def unready(self) -> list[str]:
        """Why the spool has no room; empty: it has."""
        if self._disk_full:
            return ["the disk of the spool is full"]
        everybody = bool(self._stocks) and self.full >= set(self._stocks)
        if everybody or (self._disk is not None and self.full and self._limit - self._used < 3 * self._granule):
            return ["the spool is full"]
        return [f"the spool cannot be written for intake {name}: {why}" for name, why in self._broken.items()]

    def report(self) -> JSON:
        """For ``/api/status``."""
        left = self.full_in
        return {
            "bytes": self._used,
            "limit_bytes": self._limit,
            "full_in_seconds": None if left is None else round(left),
            "full": sorted(self.full),
            "reserve": self.reserve.held,
            "evicted": dict(self.evicted),
            "synced_files": self._fsync_policy.synced,
        }


def _in_words(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
