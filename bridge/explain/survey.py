"""Summarises a capture by source and shape: products, hosts, programs, time offsets, formats and odd frames.

Memory is bounded, whatever the capture: every frame is counted, and a sample of each group is examined.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from statistics import median

from bridge.explain import payloads
from bridge.explain.capture import CapturedFrame
from bridge.explain.products import Identification, identify
from bridge.formats import FORMATS
from bridge.syslog import parser
from bridge.syslog.intake_key import masked
from bridge.syslog.timestamps import moment

MAX_GROUPS = 1000
MAX_SAMPLE = 100
"Frames of a group that are examined."
MAX_ODD = 3
_MAX_NAMES = 200
_MAX_FRAME = 8192
"Bytes that are kept of a sample frame."
_MAX_OFFSETS = 1000
_MAX_FORMAT_SAMPLE = 12
_MAX_FOREIGN = 2
"A format whose expression matches more inputs of other formats is no proposal."
_VARIABLE = re.compile(rb"[0-9A-Fa-f]*\d[0-9A-Fa-f]*|\"[^\"]*\"")
_SKELETON = 60


@dataclass(frozen=True, slots=True)
class GroupReport:
    """The summary of the frames of one source and shape."""

    source: str
    "Address of the sender, or the HOSTNAME if the capture has no addresses."
    shape: str
    count: int
    hosts: Sequence[tuple[str, int]]
    "Host names with their number of frames, the most frequent first."
    apps: Sequence[tuple[str, int]]
    identification: Identification
    format: str | None
    "Text format that fits best, or None."
    fitting: int
    "Number of the examined events that look like the format."
    examined: int
    offset_seconds: float | None
    "Median of the message's time minus the time of the capture. None if unknown."
    untimed: int
    "Number of frames without a readable time."
    zones: Sequence[tuple[str, int]]
    "UTC offsets in the messages with their number of frames."
    odd: Sequence[bytes]
    "Frames that differ from the others."


@dataclass(slots=True)
class _Group:
    count: int = 0
    untimed: int = 0
    hosts: Counter[bytes] = field(default_factory=Counter)
    apps: Counter[bytes] = field(default_factory=Counter)
    zones: Counter[bytes] = field(default_factory=Counter)
    offsets: list[float] = field(default_factory=list)
    kinds: dict[bytes, int] = field(default_factory=dict)
    "Beginning of the message without its variable parts -> number of frames."
    sample: list[tuple[bytes, bytes]] = field(default_factory=list)
    "Kind and frame."


class Survey:
    """Collects the frames of a capture. ``zone``: time zone of timestamps that have none."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._groups: dict[tuple[str, str], _Group] = {}
        self.frames = 0
        self.beyond = 0
        "Number of frames of further groups, which are counted but not examined."

    def add(self, captured: CapturedFrame) -> None:
        """Counts one frame."""
        self.frames += 1
        frame = captured.frame
        header = parser.read(frame)
        source = str(captured.source) if captured.source else header.hostname.decode("utf-8", "backslashreplace") or "-"
        if (group := self._groups.get((source, header.shape))) is None:
            if len(self._groups) >= MAX_GROUPS:
                self.beyond += 1
                return
            group = self._groups[source, header.shape] = _Group()
        group.count += 1
        _count(group.hosts, header.hostname)
        _count(group.apps, header.app_name)
        if header.second:
            _count(group.zones, header.offset)
        else:
            group.untimed += 1
        if header.second and captured.received is not None and len(group.offsets) < _MAX_OFFSETS:
            time = moment(
                header.second, header.fraction, header.offset, zone=self._zone, received=captured.received
            )  # fmt: skip
            if time is not None:
                group.offsets.append((time - captured.received).total_seconds())
        _sample(group, frame, header.app_name + b" " + header.msg[:_SKELETON])

    def groups(self) -> Iterator[GroupReport]:
        """Yields the groups, those with the most frames first."""
        for (source, shape), group in sorted(self._groups.items(), key=lambda item: (-item[1].count, item[0])):
            yield _report(source, shape, group)


def _count(counter: Counter[bytes], value: bytes) -> None:
    if value in counter or len(counter) < _MAX_NAMES:
        counter[value] += 1


def _sample(group: _Group, frame: bytes, text: bytes) -> None:
    kind = _VARIABLE.sub(b"0", text)
    new = kind not in group.kinds
    if not new or len(group.kinds) < _MAX_NAMES:
        group.kinds[kind] = group.kinds.get(kind, 0) + 1
    if len(group.sample) < MAX_SAMPLE:
        group.sample.append((kind, masked(frame[:_MAX_FRAME])))
    elif new:
        # A new kind replaces a frame of the kind that the sample has most of.
        common = Counter(each for each, _ in group.sample).most_common(1)[0]
        if common[1] > 1:
            at = next(at for at, (each, _) in enumerate(group.sample) if each == common[0])
            group.sample[at] = (kind, masked(frame[:_MAX_FRAME]))


def _report(source: str, shape: str, group: _Group) -> GroupReport:
    frames = [frame for _, frame in group.sample]
    identified = identify(frames)
    best, fits = _best_format(frames, identified.format)
    odd = sorted(zip(fits, group.sample, strict=True), key=lambda item: (item[0], group.kinds.get(item[1][0], 0)))
    unusual = [
        (kind, frame) for fit, (kind, frame) in odd if not (fit and group.kinds.get(kind, 0) * 2 > group.count)
    ]  # fmt: skip
    return GroupReport(
        source, shape, group.count, _names(group.hosts), _names(group.apps), identified, best, sum(fits), len(fits),
        median(group.offsets) if group.offsets else None, group.untimed, _names(group.zones),
        list(dict(unusual[::-1]).values())[::-1][:MAX_ODD],
    )  # fmt: skip


def _best_format(frames: Sequence[bytes], identified: str | None) -> tuple[str | None, list[bool]]:
    """Returns the format that fits best, and for each frame whether its event looks like it."""
    context = payloads.FrameContext(datetime(2000, 1, 1, tzinfo=UTC))
    if identified is None:
        some = frames[:: len(frames) // _MAX_FORMAT_SAMPLE + 1]
        hits = Counter(
            each.name for each in FORMATS.values() if each.foreign <= _MAX_FOREIGN for frame in some
            if each.fits(payloads.event_for(each, frame, context))
        )  # fmt: skip
        ranked = sorted(hits, key=lambda name: (-hits[name], FORMATS[name].foreign, name))
        # A format of which few events are is no proposal.
        identified = next((name for name in ranked if hits[name] * 2 >= len(some)), None)
    if identified is None:
        return None, [False] * len(frames)
    chosen = FORMATS[identified]
    return identified, [chosen.fits(payloads.event_for(chosen, frame, context)) for frame in frames]


def _names(counter: Counter[bytes]) -> list[tuple[str, int]]:
    return [(name.decode("utf-8", "backslashreplace"), number) for name, number in counter.most_common() if name]
