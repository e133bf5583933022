"""Keeps the spool within its budget, and its bridge honest on a disk that is full or cannot be written.

About once a second the filesystem is asked, in the spool's thread; between two looks the budget is kept by arithmetic
(``bridge.spool.budget``). *Full* is a state of one intake. With ``drop-oldest`` its oldest batches go, never those in
flight, and only where none can go is something refused; with ``pause`` it is refused until there is room again: a
stream waits (``bridge.listen.holding``), a datagram is dropped and counted.

A write that finds the disk full (ENOSPC, EDQUOT, though the budget saw room: a quota, inodes, a neighbour) gives up the
reserve and the archive, and nothing is written to the spool until there is room for the reserve and a little more. How
much was too much is remembered for a while. Any other error is tried again with each write; the alarm ends when a
file can be made again where it failed.
"""

import errno
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bridge.alarms import Alarms
from bridge.ledger import Ledger
from bridge.spool import Batch, Spool
from bridge.spool.budget import MOST_GRANULE, Disk, Forecast, Shares, Terms, limit
from bridge.spool.reserve import Reserve
from bridge.spool.syncing import Syncing

EVERY = 1.0
"Seconds between two looks."
REMEMBERED = 300.0
"Seconds that a bound which the filesystem does not tell is kept to."
SOME = 64 * 1024
"Bytes beside the reserve with which a full disk is full no longer."
_FULL = (errno.ENOSPC, errno.EDQUOT)

JSON = dict[str, object]


class Stock(Protocol):
    """What waits for one intake: a courier."""

    waiting_disk: int

    @property
    def parked(self) -> str | None:
        """Why the collector takes nothing of it; None: it does."""

    def drop_oldest(self) -> Batch | None:
        """Forget the oldest batch of which nothing is in flight or settled; the caller sees to file and account."""


class Archive(Protocol):
    """What was delivered and is kept all the same: the first to go on a full disk. ``shrink`` is called in the spool's
    thread, the rest on the reactor."""

    @property
    def disk(self) -> int:
        """Bytes on disk."""

    def shrink(self, size: int) -> int:
        """Delete the oldest until ``size`` bytes are free; how many became so."""


class NoArchive:
    """Keeps nothing."""

    disk = 0

    def shrink(self, size: int) -> int:
        """There is nothing to delete."""
        return 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look found."""

    disk: Disk | None
    mended: list[str] = field(default_factory=list)
    "Intakes for which files can be made again."
    room: bool = True


class Keeper:
    """One bridge's. ``work`` runs a job in the spool's thread, then its result on the reactor; ``clock`` rises
    steadily, in seconds; ``strangers`` are batches of intakes that are not configured."""

    def __init__(
        self,
        spool: Spool,
        *,
        terms: Terms,
        syncing: Syncing,
        stocks: Mapping[str, Stock],
        strangers: dict[str, list[Batch]],
        ledger: Ledger,
        alarms: Alarms,
        work: Callable[[Callable[[], object], Callable[[object], None]], None],
        clock: Callable[[], float],
    ) -> None:
        self.full: set[str] = set()
        "Intakes that have no room."
        self.on_room: Callable[[], None] = lambda: None
        "Called when something was full and may be so no longer."
        self.archive: Archive = NoArchive()
        self.reserve = Reserve(spool.directory)
        self.evicted: Counter[str] = Counter()
        "Events that were dropped for newer ones, by intake."
        self._spool = spool
        self._terms = terms
        self._syncing = syncing
        self._stocks = stocks
        self._strangers = strangers
        self._ledger = ledger
        self._alarms = alarms
        self._work = work
        self._clock = clock
        self._forecast = Forecast()
        self._disk: Disk | None = None
        self._used = self._limit = 0
        self._whole: int | None = None
        "The limit of intakes and archive together."
        self._used_then = 0
        "When the disk was asked."
        self._granule = MOST_GRANULE
        self._grown = 0
        self._refused: set[str] = set()
        self._broken: dict[str, str] = {}
        "Intakes for which a write failed, with the reason."
        self._disk_full = False
        self._most: int | None = None
        self._most_until = 0.0
        self._looking = False
        self._settling = False

    # --- asked with each append --------------------------------------------------------------------------------------

    @property
    def pauses(self) -> bool:
        """Whether who can wait shall."""
        return self._terms.pause

    def refuses(self, intake: str, size: int) -> str | None:
        """Why ``size`` bytes for an intake may not be written now; None: they may."""
        self._grown += size + 512
        if self._grown >= self._granule:
            self.settle()
        if self._disk_full:
            return "disk_full"
        return "spool_full" if intake in self._refused else None

    def failed(self, intake: str, error: OSError) -> str:
        """A write failed; the reason to count what it held under."""
        why = error.strerror or str(error)
        self._broken[intake] = why
        if error.errno not in _FULL:
            text = f"spool {self._spool.directory}: cannot write for intake {intake}: {why}; its events are lost"
            self._alarms.on("spool", f"intake {intake}", text)
            return "spool_write_failed"
        if not self._disk_full:
            self._disk_full = True
            used = sum(self._uses().values())
            self._most, self._most_until = used - used // 20, self._clock() + REMEMBERED
            wait = "who can wait does" if self._terms.pause else "events are lost"
            self._alarms.on(
                "spool", "disk",
                f"spool {self._spool.directory}: {why}, when writing for intake {intake}; {wait} until there is room:"
                f" free some, or lower spool.max_size below what the disk gives",
            )  # fmt: skip
            self._work(self._give_way, lambda nothing: self.look())
        return "disk_full"

    # --- looked at ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """At start, when nothing else runs: ask, and make the reserve."""
        self._seen(self._see())

    def look(self) -> None:
        """Ask the filesystem, keep the budget, sync what is due."""
        if not self._looking:
            self._looking = True
            broken = list(self._broken)
            self._work(lambda: self._see(broken), self._seen)
        if due := self._syncing.due():
            self._work(lambda: self._syncing.try_sync(due), lambda nothing: None)

    def settle(self) -> None:
        """Bring every intake within what it may have."""
        if self._settling:
            return
        self._settling = True
        try:
            self._settle()
        finally:
            self._settling = False

    def _settle(self) -> None:
        self._grown = 0
        if self._disk is None:
            return
        uses = self._uses()
        self._used = used = sum(uses.values())
        most = self._most if self._clock() < self._most_until else None
        kept_free = 0 if self.reserve.held else self.reserve.size
        # What we wrote since the disk was asked is not available any more; what we removed is.
        disk = Disk(self._disk.total, max(0, self._disk.available - (used - self._used_then)))
        aside = self.archive.disk
        self._whole = limit(
            self._terms, disk, used=used + aside, before=self._whole, kept_free=kept_free, most=most
        )  # fmt: skip
        if aside and self._whole < used + aside + MOST_GRANULE:
            self._work(lambda: self.archive.shrink(MOST_GRANULE), lambda freed: None)
        self._limit = max(0, self._whole - aside)
        parked = {name for name, stock in self._stocks.items() if stock.parked is not None} | set(self._strangers)
        shares = Shares(self._limit, uses, frozenset(parked), pause=self._terms.pause)
        self._granule = shares.granule
        tight = sorted((name for name in uses if shares.room(name) < shares.granule), key=shares.borrowed, reverse=True)
        refused = set()
        for name in tight:
            if self._terms.pause or not self._make_room(name, shares):
                refused.add(name)
        for name in set(tight) - self.full:
            does = "its senders wait" if self._terms.pause else "its oldest events are dropped"
            self._alarms.on("full", name, f"intake {name} has filled its part of the spool: {does}")
        for name in self.full - set(tight):
            # Some room more than none, or it would be full again with the next read.
            if name in uses and shares.room(name) < 3 * shares.granule:
                tight.append(name)
                if self._terms.pause and name in self._refused:
                    refused.add(name)
            else:
                self._alarms.off("full", name, f"intake {name} has room in the spool again")
        self.full = set(tight)
        waited, self._refused = self._refused, refused
        if waited - refused:
            self.on_room()

    def _make_room(self, name: str, shares: Shares) -> bool:
        while shares.room(name) < shares.granule:
            batch = self._oldest(name)
            if batch is None:
                return shares.room(name) > 0
            shares.release(name, batch.disk)
            self._used -= batch.disk
            self._ledger.drop_spooled(name, batch.unacknowledged, "spool_full")
            self.evicted[name] += batch.unacknowledged
            self._spool_discard(batch)
        return True

    def _spool_discard(self, batch: Batch) -> None:
        self._work(lambda: self._spool.remove([batch]), lambda nothing: None)

    def _oldest(self, name: str) -> Batch | None:
        stock = self._stocks.get(name)
        if stock is not None:
            return stock.drop_oldest()
        batches = self._strangers.get(name)
        return batches.pop(0) if batches else None

    def _uses(self) -> dict[str, int]:
        uses = {name: stock.waiting_disk for name, stock in self._stocks.items()}
        for name, batches in self._strangers.items():
            uses[name] = uses.get(name, 0) + sum(batch.disk for batch in batches)
        for name, size in self._spool.open_disk().items():
            uses[name] = uses.get(name, 0) + size
        return uses

    # --- in the spool's thread ---------------------------------------------------------------------------------------

    def _give_way(self) -> None:
        """The disk is full."""
        self.reserve.release()
        self.archive.shrink(self.reserve.size + SOME)

    def _see(self, broken: list[str] | None = None) -> _Seen:
        directory = self._spool.directory
        try:
            found = os.statvfs(directory)
        except OSError:
            return _Seen(None)
        disk = Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
        if not self.reserve.held and disk.available >= self.reserve.size + SOME and found.f_favail != 0:
            try:
                self.reserve.make(self._limit or limit(self._terms, disk, used=0))
            except OSError:
                # Perhaps a quota: then the probes below say whether anything can be written.
                pass
            else:
                disk = Disk(disk.total, max(0, disk.available - self.reserve.size))
        mended = [intake for intake in broken or () if self._can_write(intake)]
        return _Seen(disk, mended, room=self.reserve.held)

    def _can_write(self, intake: str) -> bool:
        folder = self._spool.directory / intake
        try:
            folder.mkdir(mode=0o750, exist_ok=True)
            descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, bytes(4096))
            finally:
                os.close(descriptor)
        except OSError as error:
            # Where a file cannot be nameless the next write will tell.
            return error.errno in (errno.EOPNOTSUPP, errno.EISDIR)
        return True

    def _seen(self, result: object) -> None:
        self._looking = False
        assert isinstance(result, _Seen)
        now = self._clock()
        if result.disk is not None:
            self._disk = result.disk
            self._used_then = sum(self._uses().values())
        for intake in result.mended:
            self._broken.pop(intake, None)
            self._alarms.off("spool", f"intake {intake}", f"spool: intake {intake} can be written again")
        if self._disk_full and result.room and result.mended:
            self._disk_full = False
            self._alarms.off("spool", "disk", f"spool {self._spool.directory}: there is room again")
            self.settle()
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
            "synced_files": self._syncing.synced,
        }


def _in_words(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
