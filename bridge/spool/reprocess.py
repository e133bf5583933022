"""Frames out of quarantine: into the spool by the routes of today, or away. One file at a time, whole or not at all.

A frame that was put aside before it was routed is read again as when it came: the time of its reception, its listener,
its peer. An event that was in the spool already (*refused*) goes to its intake as it is, with its time. What cannot go,
because no route takes it, or it is too long, stays where it is.

Blocking; in the spool's thread, with a router of its own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from bridge import batching
from bridge.batching import Group, GroupLimits
from bridge.batching.encoding import LINES, escaped
from bridge.batching.groups import NO_TIME, split
from bridge.routing import Router
from bridge.routing.conditions import Address, Network
from bridge.spool.batch import Batch
from bridge.spool.batch_names import BatchName
from bridge.spool.batch_reader import timed_lines
from bridge.spool.quarantine import QuarantineEntry, QuarantineFile
from bridge.spool.store import BatchLimits, Spool
from bridge.spool.transaction import Transaction
from bridge.syslog.fast.columns import parse_all
from bridge.syslog.frames import list_of
from bridge.syslog.framing import datagrams
from bridge.syslog.timestamps import TimeReader

MOST_SLOTS = 8
"Batches of one intake and file; where their times lie further apart there is one, timed."
SEQUENCES = 16_384
"That one file may need: two an intake, or some more."

Giver = str | None
"Whose account a frame is in: an intake's, or None."


@dataclass(frozen=True, slots=True)
class Selection:
    """Which frames; all conditions hold."""

    intake: str | None = None
    source: tuple[Network, ...] = ()

    def takes(self, entry: QuarantineEntry) -> bool:
        """Whether a frame is one of them."""
        if self.intake is not None and entry.intake != self.intake:
            return False
        return not self.source or _in(entry.peer, self.source)


def _in(peer: str, networks: Iterable[Network]) -> bool:
    try:
        address: Address = ip_address(peer)
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in networks)


@dataclass(slots=True)
class ReprocessResult:
    """What became of one file."""

    moves: Counter[tuple[Giver, str]] = field(default_factory=Counter)
    "Frames that are events in the spool now: from an account to an intake's."
    filtered: Counter[Giver] = field(default_factory=Counter)
    purged: Counter[Giver] = field(default_factory=Counter)
    stayed: int = 0
    batches: list[Batch] = field(default_factory=list)
    left: QuarantineFile | None = None


class Reprocessor:
    """Reads frames as the road does. ``limits`` are those of its batches."""

    def __init__(self, router: Router, limits: GroupLimits, batch_limits: BatchLimits) -> None:
        self._router = router
        self._limits = limits
        self._batch_limits = batch_limits
        self._reader = TimeReader()

    def retry(
        self, spool: Spool, reason: str, file: QuarantineFile, selection: Selection, numbers: range
    ) -> ReprocessResult:
        """Bring what is selected of a claimed file into the spool. Raises OSError: nothing has happened."""
        outcome = ReprocessResult()
        groups: dict[str, list[Group]] = {}
        entries, kept = _divided(file, selection)
        publisher = _publisher(reason, file)
        for run in _runs(entry for entry in entries if entry.intake is None):
            kept += self._route(run, groups, outcome, publisher)
        for entry in entries:
            if entry.intake is not None:
                kept += self._as_it_is(entry, groups, outcome, publisher)
        return self._carry_out(spool, reason, file, kept, groups, outcome, iter(numbers))

    def purge(
        self, spool: Spool, reason: str, file: QuarantineFile, selection: Selection, numbers: range
    ) -> ReprocessResult:
        """Remove what is selected. Raises OSError: nothing has happened."""
        outcome = ReprocessResult()
        entries, kept = _divided(file, selection)
        publisher = _publisher(reason, file)
        for entry in entries:
            outcome.purged[publisher(entry)] += 1
        if not kept and file.count > len(entries):
            outcome.purged[publisher(None)] += file.count - len(entries)
        return self._carry_out(spool, reason, file, kept, {}, outcome, iter(numbers))

    def _route(
        self,
        run: list[QuarantineEntry],
        groups: dict[str, list[Group]],
        outcome: ReprocessResult,
        publisher: "Callable[[QuarantineEntry], Giver]",
    ) -> list[bytes]:
        """Entries of one reception; the lines of those that stay."""
        first = run[0]
        stay: list[bytes] = []
        profile = self._router.profile(first.listener, _address(first.peer))
        frames = datagrams([entry.frame for entry in run])
        columns = parse_all(frames, profile.needs | {"raw"})
        if columns.count != len(list_of(frames)):
            # Nothing but blanks: there is no event in it.
            return [entry.line() for entry in run]
        by_frame: dict[bytes, list[QuarantineEntry]] = {}
        for raw, entry in zip(columns["raw"], run, strict=True):
            by_frame.setdefault(raw, []).append(entry)
        for disposition, part in profile.assign(columns):
            entries = [by_frame[raw].pop() for raw in part["raw"]]
            if disposition.kind == "drop":
                outcome.filtered.update(publisher(entry) for entry in entries)
                continue
            if disposition.kind != "deliver":
                stay += [entry.line() for entry in entries]
                continue
            assert disposition.intake is not None
            grouped = batching.group(
                part, disposition, reader=self._reader, received_ms=first.received_ms,
                peer=first.peer.encode("ascii", "replace") or b"-", listener=first.listener, limits=self._limits,
            )  # fmt: skip
            if grouped.oversize:
                stay += [entry.line() for entry in entries]
                continue
            groups.setdefault(disposition.intake, []).extend(grouped.groups)
            outcome.moves.update((publisher(entry), disposition.intake) for entry in entries)
        return stay

    def _as_it_is(
        self,
        entry: QuarantineEntry,
        groups: dict[str, list[Group]],
        outcome: ReprocessResult,
        publisher: "Callable[[QuarantineEntry], Giver]",
    ) -> list[bytes]:
        assert entry.intake is not None
        line = escaped(entry.frame) + b"\n"
        if len(line) > self._limits.event_bytes:
            return [entry.line()]
        ms = entry.received_ms if entry.time_ms is None else entry.time_ms
        group = Group(entry.intake, LINES, ms // self._limits.resolution_ms, ms, ms, 1, line)
        groups.setdefault(entry.intake, []).append(group)
        outcome.moves[publisher(entry), entry.intake] += 1
        return []

    # --- what comes of it --------------------------------------------------------------------------------------------

    def _carry_out(
        self,
        spool: Spool,
        reason: str,
        file: QuarantineFile,
        kept: list[bytes],
        groups: dict[str, list[Group]],
        outcome: ReprocessResult,
        numbers: Iterator[int],
    ) -> ReprocessResult:
        outcome.stayed = len(kept)
        if not (outcome.moves or outcome.filtered or outcome.purged):
            outcome.left = file
            return outcome
        transfer = Transaction(spool.directory, next(numbers))
        try:
            for its_groups in groups.values():
                for group, timed in self._batches(its_groups):
                    batch = batch_of(group, next(numbers), spool, self._limits.resolution_ms, timed=timed)
                    transfer.write(batch.path, group.data)
                    outcome.batches.append(batch)
            if kept:
                place = file.path.with_name(f"{file.sequence}-{len(kept)}.jsonl")
                data = b"".join(kept)
                transfer.write(place, data, like=file.path)
                outcome.left = QuarantineFile(place, file.sequence, count=len(kept), size=len(data))
                outcome.left.intakes = _intakes(kept, file)
            transfer.remove(file.path)
            transfer.commit()
        except BaseException:
            transfer.give_up()
            raise
        transfer.finish()
        return outcome

    def _batches(self, groups: list[Group]) -> Iterator[tuple[Group, bool]]:
        """Groups of one intake put together: a batch a slot, or one of all times."""
        limits = self._batch_limits
        slots: dict[int | None, list[Group]] = {}
        timed = [group for group in groups if group.timed]
        for group in groups:
            if not group.timed:
                slots.setdefault(None if group.earliest == NO_TIME else group.slot, []).append(group)
        untimed = slots.pop(None, [])
        parts = [_joined(untimed)] if untimed else []
        if len(slots) <= MOST_SLOTS:
            parts += [_joined(members) for _, members in sorted(slots.items(), key=lambda item: item[0] or 0)]
        else:
            timed += [
                replace(group, data=timed_lines(group.data, group.earliest), timed=True)
                for members in slots.values()
                for group in members
            ]
        for part in parts:
            for piece in split(part, limits.max_events, limits.max_bytes):
                yield piece, False
        if timed:
            yield _joined(timed), True


def batch_of(group: Group, sequence: int, spool: Spool, resolution_ms: int, *, timed: bool) -> Batch:
    """A sealed batch that is to be written: of the backlog, and synced."""
    name = BatchName(sequence, group.earliest, group.count, len(group.data), "sealed", timed, group.encoding)
    latest = group.latest if timed else (group.earliest // resolution_ms + 1) * resolution_ms - 1
    return Batch(
        intake=group.intake, sequence=name.sequence, encoding=name.encoding, timed=timed, earliest=name.earliest,
        latest=latest, count=name.events, size=name.size, directory=spool.directory / group.intake,
        sealed=float("-inf"), synced=True,
    )  # fmt: skip


def _joined(groups: list[Group]) -> Group:
    first = groups[0]
    return Group(
        first.intake, first.encoding, first.slot, min(g.earliest for g in groups), max(g.latest for g in groups),
        sum(g.count for g in groups), b"".join(g.data for g in groups),
    )  # fmt: skip


def _divided(file: QuarantineFile, selection: Selection) -> tuple[list[QuarantineEntry], list[bytes]]:
    """The entries that are selected, and the lines of the others; what is no entry is left as it is."""
    selected: list[QuarantineEntry] = []
    others: list[bytes] = []
    for line in file.path.read_bytes().splitlines(keepends=True):
        entry = QuarantineEntry.read(line)
        if entry is not None and selection.takes(entry):
            selected.append(entry)
        else:
            others.append(line)
    return selected, others


def _runs(entries: Iterable[QuarantineEntry]) -> Iterator[list[QuarantineEntry]]:
    """Entries of one listener, peer and reception."""
    runs: dict[tuple[int, str, str], list[QuarantineEntry]] = {}
    for entry in entries:
        runs.setdefault((entry.received_ms, entry.listener, entry.peer), []).append(entry)
    return iter(runs.values())


def _publisher(reason: str, file: QuarantineFile) -> "Callable[[QuarantineEntry | None], Giver]":
    """Whose account its frames are in: a refused event of this process is its intake's, all others are nobody's."""
    if reason != "refused" or "-" in file.intakes:
        return lambda entry: None
    return lambda entry: None if entry is None else entry.intake


def _intakes(lines: list[bytes], file: QuarantineFile) -> Counter[str]:
    if "-" in file.intakes and len(file.intakes) == 1:
        return Counter({"-": len(lines)})
    entries = map(QuarantineEntry.read, lines)
    return Counter((entry.intake if entry else None) or "-" for entry in entries)


def _address(peer: str) -> Address | None:
    try:
        return ip_address(peer)
    except ValueError:
        return None
