"""Keeps the spool within its disk budget, and handles disks that are full or cannot be written.

The spool thread queries the filesystem about once a second. Between two queries, arithmetic keeps the budget
(``bridge.spool.budget``). *Full* is a state of one intake. With ``drop-oldest``, the oldest batches of a full intake
are dropped, except those in flight; events are rejected only if no batch can be dropped. With ``pause``, events are
rejected until there is room again: streams wait (``bridge.ingest.backpressure``), datagrams are dropped and counted.

``bridge.storage.write_faults`` handles writes that fail although the budget had room.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from bridge.accounting import Ledger
from bridge.spool import Spool
from bridge.spool.budget import (
    MOST_GRANULE,
    RESERVED,
    BudgetTerms,
    DiskState,
    Full,
    Reserved,
    Shares,
    limit,
    limit_facts,
)
from bridge.spool.forecast import Forecast, TimeToFull
from bridge.spool.reserve import Reserve
from bridge.storage import disk_usage, probe
from bridge.storage.disk_usage import SOME, DiskUsage, ProbePlan
from bridge.storage.eviction import BudgetMember, Eviction
from bridge.storage.fill_alarms import FillAlarms
from bridge.storage.full_intakes import FullIntakes
from bridge.storage.write_faults import WriteFaults
from bridge.util.alarms import AlarmSink
from bridge.util.jobs import Work
from bridge.util.spans import size as size_text

EVERY = 1.0
"Seconds between two calls of ``look``."
FULL_SHARE = 0.75
"Used share of the limit from which the spool counts as full if an intake has no room."
_OVERHEAD = 512
"Bytes that are added to each append for file names and partly filled blocks."

JSON = dict[str, object]


class DiskBudget:
    """Disk budget of one spool. ``members`` are the waiting batches by intake, ``work`` runs a job in the spool thread,
    then its callback on the reactor, and ``clock`` is in monotonic seconds."""

    def __init__(
        self, spool: Spool, *, terms: BudgetTerms, members: Mapping[str, BudgetMember], ledger: Ledger,
        alarms: AlarmSink, work: Work, clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self.full: set[str] = set()
        "Intakes without room in the spool."
        self.reported_full = FullIntakes(alarms, clock)
        self._fill_alarms = FillAlarms(alarms, clock)
        self.reserve_file = Reserve(spool.directory)
        self._spool = spool
        self._terms = terms
        self._members = members
        self._eviction = Eviction(members, ledger)
        self.evicted = self._eviction.evicted
        self._work = work
        self._clock = clock
        self._on_room: list[Callable[[], None]] = []
        self._forecast = Forecast()
        self._current_shares: Shares | None = None
        "The shares of the intakes when the budget was last enforced."
        self._disk: DiskState | None = None
        self._used = self._limit = 0
        self._last_limit: int | None = None
        "Result of the last limit computation; None before the first."
        self._used_at_query = 0
        "Bytes in use when the filesystem was queried."
        self._granule = MOST_GRANULE
        self._appended = 0
        self._held: Counter[str] = Counter()
        "Bytes by intake that requests have reserved and not written yet."
        self._remaining: dict[str, int] = {}
        "Bytes that full intakes may still write."
        self._max_bytes = spool.limits.max_bytes
        self._paused: set[str] = set()
        "Intakes whose senders wait."
        self._needed = SOME
        "Free bytes with which a full disk counts as usable again."
        self._querying = False
        self._enforcing = False
        self._shrinking = False
        self._write_faults = WriteFaults(
            spool, self.reserve_file, alarms=alarms, work=work, used=self._on_disk,
            shrink_archive=self._shrink_archive, look=self.look,
        )  # fmt: skip

    # --- called for each append --------------------------------------------------------------------------------------

    @property
    def pauses(self) -> bool:
        """True if senders that can wait should pause while an intake is full."""
        return self._terms.pause

    def subscribe(self, on_room: Callable[[], None]) -> None:
        """Calls ``on_room`` whenever an intake or the disk was full and may have room again."""
        self._on_room.append(on_room)

    def reserve(self, intake: str, size: int) -> Reserved | Full:
        """Reserves room for ``size`` bytes of an intake, to be written now. Makes room if necessary."""
        if self._write_faults.closed:
            return Full("disk_full")
        self._appended += size + _OVERHEAD
        remaining = self._remaining.get(intake)
        if remaining is not None:
            remaining -= size + _OVERHEAD
            self._remaining[intake] = remaining
        if self._appended >= self._granule or (remaining is not None and remaining < 0):
            self.enforce(intake, size + _OVERHEAD)
        full = intake in self._paused or self._remaining.get(intake, 0) < 0
        return Full("spool_full") if full else RESERVED

    def reserve_all(self, sizes: Mapping[str, int]) -> Reserved | Full:
        """Reserves room for every intake of a request that must be taken as a whole, or for none.

        An intake whose last write failed has no room: a part of the request would be stored each time it is repeated.
        Nor has any intake while files cannot be synced.
        """
        for intake, size in sizes.items():
            if self._write_faults.refuses(intake):
                return Full("spool_write_failed")
            if isinstance(room := self.reserve(intake, size), Full):
                return room
        return RESERVED

    def hold(self, sizes: Mapping[str, int]) -> None:
        """Keeps reserved room for a request that is written in several reactor turns, until ``release``."""
        self._held.update(sizes)

    def release(self, sizes: Mapping[str, int]) -> None:
        """Ends the hold of room that was written or is not needed any more."""
        self._held.subtract(sizes)

    def failed(self, intake: str, error: OSError) -> str:
        """Handles a failed write. Returns the reason code under which its events are counted."""
        return self._write_faults.failed(intake, error, self._max_bytes)

    def sync_failed(self, error: OSError) -> None:
        """Handles a failed fsync: nothing is acknowledged until files can be synced again."""
        self._write_faults.sync_failed(error)

    @property
    def unsynced(self) -> bool:
        """True while files of the spool cannot be synced to disk."""
        return self._write_faults.unsynced is not None

    def change(self, terms: BudgetTerms) -> None:
        """Applies another configuration. Call after the spool's limits have changed."""
        self._terms = terms
        self._max_bytes = self._spool.limits.max_bytes
        self._last_limit = None
        self.enforce()

    # --- periodic ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Queries the filesystem and creates the reserve. Blocking. Call at start, before other jobs run."""
        probe.remove_leftover(self._spool.directory)
        self._measured(self._measure(ProbePlan()))

    def look(self) -> None:
        """Queries the filesystem and enforces the budget. Called every ``EVERY`` seconds."""
        if not self._querying:
            self._querying = True
            plan = self._write_faults.plan(self._clock(), self._max_bytes)
            self._work(lambda: self._measure(plan), self._measured)

    def enforce(self, wanted: str | None = None, size: int = 0) -> None:
        """Brings every intake within its limit, and makes room for ``size`` more bytes of the intake ``wanted``."""
        if self._enforcing:
            return
        self._enforcing = True
        try:
            room = self._enforce(wanted, size)
        finally:
            self._enforcing = False
        if room:
            self._report_room()

    def _report_room(self) -> None:
        for on_room in self._on_room:
            on_room()

    def _enforce(self, wanted: str | None, size: int) -> bool:
        self._appended = 0
        if self._disk is None:
            return False
        shares = self._shares()
        pause, granule = self._terms.pause, shares.granule
        self._granule = granule
        # Open batches cannot be dropped, so a batch must be a small part of the limit of its intake.
        max_bytes = min(self._max_bytes, max(SOME, shares.share // 8))
        if self._spool.limits.max_bytes != max_bytes:
            self._spool.change(limits=replace(self._spool.limits, max_bytes=max_bytes))
        names = sorted(shares.uses, key=shares.borrowed, reverse=True)
        full = {name for name in names if shares.room(name) < granule}
        # Require some more room, or the intake would be full again with the next read.
        full |= {name for name in self.full & set(names) if shares.room(name) < 3 * granule}
        if not pause:
            # Drop nothing earlier than necessary: space may be freed elsewhere.
            for name in names:
                self._eviction.make_room(name, 0, shares)
            if wanted in full and shares.room(wanted) < size:
                self._eviction.reclaim_borrowed(wanted, size + granule, shares, names)
        if dropped := self._eviction.take_dropped():
            self._work(lambda: self._spool.discard(dropped), lambda nothing: self._discarded())
        self._used, self._current_shares = sum(self._uses().values()), shares
        self._remaining = {name: shares.room(name) - (size if name == wanted else 0) for name in full}
        self.reported_full.update(full, self._full_text)
        self.full = full
        paused, self._paused = self._paused, set(full) if pause else set()
        return bool(paused - self._paused)

    def _discarded(self) -> None:
        if self._write_faults.closed:
            self.look()

    def _shares(self) -> Shares:
        uses = self._uses()
        uses.update(+self._held)
        used = sum(uses.values())
        # Recreate only a small reserve at first, so that few events are dropped for it.
        self._needed = min(self.reserve_file.size, used // 8) + SOME
        kept_free = 0 if self.reserve_file.held or not self.reserve_file.size else self._needed + SOME
        assert self._disk is not None
        archived = self._archived
        # Correct the free space by the bytes that were written and deleted since the query.
        available = max(0, self._disk.available - (used + archived - self._used_at_query))
        if (provisional := self._write_faults.available()) is not None:
            available = min(available, provisional)
        disk = DiskState(self._disk.total, available)
        self._last_limit = limit(self._terms, disk, used=used + archived, before=self._last_limit, kept_free=kept_free)
        self._limit = self._last_limit
        if archived and not self._shrinking and (too_much := used + archived + MOST_GRANULE - self._limit) > 0:
            # The archive may use free space only until the spool needs it.
            self._shrinking = True
            self._work(lambda: self._shrink_archive(too_much), self._shrunk)
        parked = {name for name, member in self._members.items() if member.parked is not None}
        return Shares(self._limit, uses, frozenset(parked), pause=self._terms.pause)

    @property
    def _archived(self) -> int:
        """Bytes of the archive on disk, as last measured."""
        return 0 if self._spool.archive is None else self._spool.archive.size

    def _shrink_archive(self, size: int) -> None:
        """Deletes the oldest hours of the archive until ``size`` bytes are freed. Runs in the spool thread."""
        if (archive := self._spool.archive) is not None:
            archive.shrink(max(0, archive.size - size))

    def _shrunk(self, nothing: None) -> None:
        self._shrinking = False

    def _uses(self) -> Counter[str]:
        uses = Counter({name: member.waiting_disk for name, member in self._members.items()})
        uses.update(self._spool.open_disk())
        return uses

    def _on_disk(self) -> int:
        """Returns the bytes of batches, archive and reserve."""
        return sum(self._uses().values()) + self._archived + (self.reserve_file.size if self.reserve_file.held else 0)

    def _measure(self, plan: ProbePlan) -> DiskUsage:
        return disk_usage.measure(
            self._spool.directory, self.reserve_file, terms=self._terms, spool_limit=self._limit, needed=self._needed,
            plan=plan, space=self._spool.probe_lock,
        )  # fmt: skip

    def _measured(self, result: DiskUsage) -> None:
        self._querying = False
        now = self._clock()
        if result.disk is not None:
            self._disk = result.disk
            self._used_at_query = sum(self._uses().values()) + self._archived
        resumes = self._write_faults.measured(result)
        self.enforce()
        if resumes:
            # A full disk also pauses senders whose intake is not full.
            self._report_room()
        self._forecast.note(now, self._uses())
        self._fill_alarms.update(self._used, self._limit, self.time_to_full.spool)

    # --- status ------------------------------------------------------------------------------------------------------

    @property
    def time_to_full(self) -> TimeToFull:
        """Returns the seconds until the spool, and the room of each intake, is full at the present growth.

        An intake whose oldest batches are dropped always has a little room, but counts as full. The spool then counts
        as full too if ``FULL_SHARE`` of its limit is used. Otherwise, much of it is free for other intakes.
        """
        shares = self._current_shares
        if shares is None:
            return TimeToFull()
        found, full = self._forecast.predict(self._clock(), self._uses(), shares), self.reported_full.names
        spool = 0.0 if full and self._used >= FULL_SHARE * self._limit else found.spool
        return TimeToFull(spool, {**found.intakes, **dict.fromkeys(full, 0.0)})

    def _full_text(self) -> str:
        effect = "its senders wait" if self._terms.pause else "its oldest events are dropped"
        return f"({size_text(self._limit)}, limited by {self._limit_facts()['limited_by']}): {effect}"

    def _limit_facts(self) -> JSON:
        return limit_facts(self._terms, self._disk, self._limit, self._write_faults.cause)

    def unready(self) -> list[str]:
        """Returns the reasons why the spool cannot take events; empty if it can."""
        if self._write_faults.closed:
            return self._write_faults.unready()
        all_full = bool(self._members) and self.full >= set(self._members)
        held = (+self._held).total()
        if all_full or (self._disk is not None and self.full and self._limit - self._used - held < 3 * self._granule):
            return ["the spool is full"]
        return self._write_faults.unready()

    def report(self) -> JSON:
        """Returns the state of the disk budget for ``/api/status``."""
        left = self.time_to_full.spool
        return {
            "bytes": self._used,
            "limit_bytes": self._limit,
            "full_in_seconds": None if left is None else round(left),
            "full": sorted(self.reported_full.names),
            "reserve": self.reserve_file.held,
            "fault": self._write_faults.cause,
            **self._limit_facts(),
            "evicted": dict(self.evicted),
        }
