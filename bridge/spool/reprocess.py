"""Retries quarantined frames with the current routes, or purges them. Each file changes completely or not at all.

A frame that was quarantined before it was routed is processed again with its original reception time, listener and
peer. An event that was in the spool already (*refused*) returns to its intake unchanged, with its time. A frame that
cannot be delivered, because no route matches it, because it is too long or because it cannot be redacted, stays in
quarantine. All are redacted by the current rules first.

Blocking calls; runs on the spool thread, with its own router.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from bridge import batching
from bridge.batching import Group, GroupLimits
from bridge.batching.encoding import LINES, escaped
from bridge.batching.groups import NO_TIME, split
from bridge.routing import Router
from bridge.routing.conditions import Address, Network
from bridge.spool.batch import Batch, BatchLimits
from bridge.spool.batch_names import BatchName
from bridge.spool.quarantine_entry import QuarantineEntry
from bridge.spool.quarantine_file import QuarantineFile
from bridge.spool.store import Spool
from bridge.spool.transaction import Transaction
from bridge.syslog.frames import list_of
from bridge.syslog.framing import datagrams
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeReader

MOST_SLOTS = 8
"Most batches per intake and file, one per timestamp slot. With more slots, one timed batch is written instead."
SEQUENCES = 16_384
"Sequences reserved for one file, which needs about two for each intake."

AccountName = str | None
"The ledger account that a frame is in: an intake name, or None for the account of events without an intake."


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection of frames; a frame must meet all conditions."""

    intake: str | None = None
    source: tuple[Network, ...] = ()

    def matches(self, entry: QuarantineEntry) -> bool:
        """Returns True if a frame is selected."""
        if self.intake is not None and entry.intake != self.intake:
            return False
        if not self.source:
            return True
        address = _address(entry.peer)
        return address is not None and any(
            address.version == network.version and address in network for network in self.source
        )


def _address(peer: str) -> Address | None:
    try:
        return ip_address(peer)
    except ValueError:
        return None


@dataclass(slots=True)
class ReprocessResult:
    """The result of retrying or purging one quarantine file."""

    moves: Counter[tuple[AccountName, str]] = field(default_factory=Counter)
    "Frames that are now events in the spool, by their old account and their new intake."
    filtered: Counter[AccountName] = field(default_factory=Counter)
    purged: Counter[AccountName] = field(default_factory=Counter)
    stayed: int = 0
    batches: list[Batch] = field(default_factory=list)
    remaining: QuarantineFile | None = None
    transaction: Transaction | None = None
    "The finished transaction, whose account is not in the ledger yet; None if nothing has changed."


class _FileChange:
    """The change of one quarantine file, until it is committed."""

    def __init__(self, reason: str, file: QuarantineFile, selection: Selection) -> None:
        self.file = file
        self.result = ReprocessResult()
        self.selected: list[QuarantineEntry] = []
        self.kept: list[bytes] = []
        "The lines that stay in quarantine, including lines that are not entries."
        self.groups: defaultdict[str, list[Group]] = defaultdict(list)
        "The new events of each intake."
        self._in_account_of_intake = reason == "refused" and "-" not in file.intakes
        for line in file.path.read_bytes().splitlines(keepends=True):
            entry = QuarantineEntry.read(line)
            if entry is not None and selection.matches(entry):
                self.selected.append(entry)
            else:
                self.kept.append(line)

    def account_of(self, entry: QuarantineEntry) -> AccountName:
        """Returns the ledger account that counts an entry.

        Refused events of the current process are in the account of their intake. All other frames are in the account
        of events without an intake.
        """
        return entry.intake if self._in_account_of_intake else None

    def keep(self, entries: Iterable[QuarantineEntry]) -> None:
        """Leaves selected entries in quarantine."""
        self.kept += [entry.line() for entry in entries]


class Reprocessor:
    """Processes quarantined frames as the ingest pipeline does. ``limits`` apply to the new events and batches."""

    def __init__(self, router: Router, limits: GroupLimits, batch_limits: BatchLimits) -> None:
        self._router = router
        self._limits = limits
        self._batch_limits = batch_limits
        self._reader = TimeReader()

    def retry(
        self, spool: Spool, reason: str, file: QuarantineFile, selection: Selection, numbers: range
    ) -> ReprocessResult:
        """Moves the selected frames of a claimed file into the spool. Raises OSError; then nothing has changed."""
        change = self._retried(reason, file, selection)
        return self._commit(spool, change, Transaction(spool.directory, numbers[0], "quarantine-retry"), numbers[1:])

    def preview(self, reason: str, file: QuarantineFile, selection: Selection) -> ReprocessResult:
        """Returns the result of a retry and changes nothing. Frames that are not selected are not counted as stayed.

        Raises OSError.
        """
        change = self._retried(reason, file, selection)
        kept = map(QuarantineEntry.read, change.kept)
        stayed = sum(entry is not None and selection.matches(entry) for entry in kept)
        return replace(change.result, stayed=stayed)

    def _retried(self, reason: str, file: QuarantineFile, selection: Selection) -> _FileChange:
        """Routes the selected frames of a file, and writes nothing. Raises OSError."""
        change = _FileChange(reason, file, selection)
        change.selected = list(self._redacted(change))
        runs: defaultdict[tuple[int, str, str], list[QuarantineEntry]] = defaultdict(list)
        for entry in change.selected:
            if entry.intake is None:
                runs[entry.received_ms, entry.listener, entry.peer].append(entry)
        for run in runs.values():
            self._route(run, change)
        for entry in change.selected:
            if entry.intake is not None:
                self._return_unchanged(entry, entry.intake, change)
        return change

    def purge(
        self, spool: Spool, reason: str, file: QuarantineFile, selection: Selection, numbers: range
    ) -> ReprocessResult:
        """Deletes the selected frames of a claimed file. Raises OSError; then nothing has changed."""
        change = _FileChange(reason, file, selection)
        purged = change.result.purged
        purged.update(map(change.account_of, change.selected))
        if not change.kept and file.count > len(change.selected):
            purged[None] += file.count - len(change.selected)
        return self._commit(spool, change, Transaction(spool.directory, numbers[0], "quarantine-purge"), numbers[1:])

    def _redacted(self, change: _FileChange) -> Iterator[QuarantineEntry]:
        """Yields the selected entries, redacted by the current rules. Entries that cannot be redacted stay."""
        for entry in change.selected:
            redactor = self._router.redactor(_address(entry.peer))
            if redactor is None:
                yield entry
                continue
            result = redactor.redact([entry.frame])
            if result.failed:
                change.keep([entry])
            else:
                yield replace(entry, frame=list_of(result.frames)[0]) if result.counts else entry

    def _route(self, run: list[QuarantineEntry], change: _FileChange) -> None:
        """Routes entries with the same reception time, listener and peer."""
        first = run[0]
        profile = self._router.profile(first.listener, _address(first.peer))
        frames = datagrams([entry.frame for entry in run])
        columns = read_columns(frames, profile.needs | {"raw"})
        if columns.count != len(list_of(frames)):
            # At least one frame is blank and contains no event.
            change.keep(run)
            return
        by_frame: defaultdict[bytes, list[QuarantineEntry]] = defaultdict(list)
        for raw, entry in zip(columns["raw"], run, strict=True):
            by_frame[raw].append(entry)
        for disposition, part in profile.assign(columns):
            entries = [by_frame[raw].pop() for raw in part["raw"]]
            if disposition.kind == "drop":
                change.result.filtered.update(map(change.account_of, entries))
                continue
            if disposition.kind != "deliver":
                change.keep(entries)
                continue
            assert disposition.intake is not None
            grouped = batching.group(
                part, disposition, reader=self._reader, received_ms=first.received_ms,
                peer=first.peer.encode("ascii", "replace") or b"-", listener=first.listener, limits=self._limits,
            )  # fmt: skip
            if grouped.oversize:
                change.keep(entries)
                continue
            change.groups[disposition.intake] += grouped.groups
            change.result.moves.update((change.account_of(entry), disposition.intake) for entry in entries)

    def _return_unchanged(self, entry: QuarantineEntry, intake: str, change: _FileChange) -> None:
        line = escaped(entry.frame) + b"\n"
        if len(line) > self._limits.event_bytes:
            change.keep([entry])
            return
        ms = entry.received_ms if entry.time_ms is None else entry.time_ms
        change.groups[intake].append(Group(intake, LINES, ms // self._limits.resolution_ms, ms, ms, 1, line))
        change.result.moves[change.account_of(entry), intake] += 1

    # --- writing the result ------------------------------------------------------------------------------------------

    def _commit(self, spool: Spool, change: _FileChange, staged: Transaction, numbers: range) -> ReprocessResult:
        file, kept, result, sequences = change.file, change.kept, change.result, iter(numbers)
        if not (result.moves or result.filtered or result.purged):
            return replace(result, stayed=len(kept), remaining=file)
        remaining = None
        for (origin, intake), count in result.moves.items():
            staged.account("release", origin, intake, count)
        for origin, count in result.filtered.items():
            staged.account("filter", origin, None, count)
        for origin, count in result.purged.items():
            staged.account("purge-quarantined", origin, None, count)
        with staged.completion():
            for intake_groups in change.groups.values():
                for group, timed in self._batches(intake_groups):
                    batch = batch_of(group, next(sequences), spool, self._limits.resolution_ms, timed=timed)
                    staged.write(batch.path, group.data)
                    result.batches.append(batch)
            if kept:
                path = file.path.with_name(f"{file.sequence}-{len(kept)}.jsonl")
                data = b"".join(kept)
                staged.write(path, data, like=file.path)
                remaining = QuarantineFile(
                    path, file.sequence, count=len(kept), size=len(data), intakes=_intakes(kept, file)
                )
            staged.remove(file.path)
        return replace(result, stayed=len(kept), remaining=remaining, transaction=staged)

    def _batches(self, groups: list[Group]) -> Iterator[tuple[Group, bool]]:
        """Joins the groups of one intake into batches: one per slot, or one timed batch. Yields (group, timed)."""
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
            timed += [group.as_timed() for members in slots.values() for group in members]
        for part in parts:
            for piece in split(part, limits.max_events, limits.max_bytes):
                yield piece, False
        if timed:
            yield _joined(timed), True


def batch_of(group: Group, sequence: int, spool: Spool, resolution_ms: int, *, timed: bool) -> Batch:
    """Returns a sealed and synced batch for the backlog lane. The caller writes its file."""
    name = BatchName(sequence, group.earliest, group.count, len(group.data), "sealed", timed, group.encoding)
    latest = group.latest if timed else (group.earliest // resolution_ms + 1) * resolution_ms - 1
    folder = spool.directory / group.intake
    return Batch.of_name(group.intake, folder, name, latest=latest, sealed=float("-inf"), synced=True)


def _joined(groups: list[Group]) -> Group:
    first = groups[0]
    return Group(
        first.intake, first.encoding, first.slot, min(g.earliest for g in groups), max(g.latest for g in groups),
        sum(g.count for g in groups), b"".join(g.data for g in groups),
    )  # fmt: skip


def _intakes(lines: list[bytes], file: QuarantineFile) -> Counter[str]:
    if "-" in file.intakes and len(file.intakes) == 1:
        return Counter({"-": len(lines)})
    entries = map(QuarantineEntry.read, lines)
    return Counter((entry.intake if entry else None) or "-" for entry in entries)
