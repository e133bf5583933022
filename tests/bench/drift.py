"""Replays ordinary traffic and counts the changes that are found by mistake: `python -m tests.bench.drift --days 365`.

A device sends the messages of one product: those of the project's samples, of the mixes, and of ../shared/corpora if
that folder exists. Each device is replayed without a format, and with the format of its product if one is known. The
frequent messages of a device are a few times more frequent than the next. Four patterns are replayed:

steady     any message at any time
bursts     a day and a quiet night; most messages come in bursts of equal ones
jobs       the same, and a nightly job sends 200 messages of the rarest kind
restarts   the same, and once a week the device is silent for five minutes and then sends rare messages for 30 s

With `--changes`, each device sends the messages of another one after half a day instead, and the changes that are found
within 100 messages or a minute, whichever is later, are counted. Only changes to layouts, or from a match with the
format to none, are changes.

The times of a device pass as fast as possible. A message is parsed once and its result is used again.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge.explain.products import identify
from bridge.ingest.peers import Peer
from bridge.ingest.shape_history import layout_of
from bridge.routing import Disposition
from bridge.syslog import parser
from tests.bench.mix import MIXES, read_mix
from tests.harness.sampled import SampledSources
from tests.unit.syslog.samples import SAMPLES

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
PATTERNS = ("steady", "bursts", "jobs", "restarts")
DAY = 86_400.0
_DISTINCT = 40


@dataclass(frozen=True)
class ReplayedDevice:
    """A device: where its messages are from, the messages, the most frequent first, and the format of its intake."""

    origin: str
    name: str
    frames: tuple[bytes, ...]
    format: str | None


def devices() -> Iterator[ReplayedDevice]:
    """Yields all devices."""
    for origin, name, frames, text_format in _products():
        distinct = tuple(dict.fromkeys(frames))[:_DISTINCT]
        yield ReplayedDevice(origin, name, distinct, None)
        chosen = text_format or identify(distinct).format
        if chosen:
            yield ReplayedDevice(origin, name, distinct, chosen)


def mixed_devices(single: list[ReplayedDevice], count: int = 80) -> Iterator[ReplayedDevice]:
    """Yields devices that send the messages of several products, such as hosts with many programs, and relays."""
    chance = random.Random(count)
    for number in range(count):
        members = chance.sample(single, chance.randint(2, 6))
        frames = [frame for member in members for frame in member.frames[:8]]
        # The main product has most messages.
        text_format = next((member.format for member in members[:1]), None)
        yield ReplayedDevice("mixed", f"mixed-{number}", tuple(frames), text_format)


def _products() -> Iterator[tuple[str, str, list[bytes], str | None]]:
    own: defaultdict[str, list[Any]] = defaultdict(list)
    for sample in SAMPLES:
        own[sample.product].append(sample)
    for product, samples in own.items():
        formats = Counter(sample.intake for sample in samples if sample.intake)
        yield "samples", product, [sample.frame for sample in samples], next(iter(formats), None)
    moment = datetime(2026, 11, 23, 12, tzinfo=UTC)
    for mix in sorted(MIXES.glob("*.yaml")):
        rendered: defaultdict[str, list[bytes]] = defaultdict(list)
        for message in read_mix(mix).render(4000, moment):
            rendered[message.device.product.product].append(message.text)
        for product in read_mix(mix).products:
            yield f"mix {mix.stem}", product.product, rendered[product.product], product.format
    for corpus in sorted(CORPORA.glob("*.jsonl")):
        vendors: defaultdict[str, list[bytes]] = defaultdict(list)
        for row in map(json.loads, corpus.read_text().splitlines()):
            if "raw" in row:
                vendors[row.get("vendor") or corpus.stem].append(row["raw"].encode())
        for vendor, frames in vendors.items():
            yield f"corpus {corpus.stem}", vendor, frames, None


class _Replay(SampledSources):
    """Sources whose messages are parsed only once."""

    def __init__(self, text_format: str | None) -> None:
        super().__init__(text_format)
        self._headers: dict[bytes, Any] = {}
        compared: dict[bytes, tuple[Disposition | None, bool | None]] = {}
        compare = self.changes._compare

        def compare_once(peer: Peer, frame: bytes, now_ms: int) -> tuple[Disposition | None, bool | None]:
            if frame not in compared:
                compared[frame] = compare(peer, frame, now_ms)
            return compared[frame]

        self.changes._compare = compare_once  # type: ignore[method-assign]

    def take(self, peer: Peer, frames: list[bytes]) -> None:
        if not peer.note_read(len(frames), self.now_ms):
            return
        frame = frames[-1]
        silent_ms = self.now_ms - peer.sampled if peer.sampled else 0
        peer.sampled = self.now_ms
        header = self._headers.get(frame) or self._headers.setdefault(frame, parser.read(frame[:512]))
        self.changes.note(peer, frames, (frame, header), self.now_ms, silent_ms)


def replay(device: ReplayedDevice, pattern: str, days: float, per_minute: float, seed: int) -> tuple[int, list[str]]:
    """Replays a device; returns the number of messages and a description of each change that was found."""
    sources, found, count = _Replay(device.format), list[str](), 0
    peer, confirmed = sources.peer(), False
    start, next_look = sources.now_ms, 0.0
    for at, frame in _traffic(device.frames, pattern, days * DAY, per_minute, random.Random(seed)):
        while next_look < at:
            if sources.changes._changes:
                sources.now_ms = start + int(next_look * 1000)
                now_confirmed = sources.look(peer)
                if now_confirmed and not confirmed:
                    change = sources.changes.confirmed()[peer]
                    new, old = change.new_kind, change.main_kind
                    text = f"{new.layout.words(old.layout)} instead of {old.layout.words(new.layout)}"
                    found.append(f"day {next_look / DAY:.2f}: {text} ({change.new}/{change.main}/{change.total})")
                confirmed = now_confirmed
                next_look += 5
            else:
                next_look = at
                confirmed = False
        sources.now_ms = start + int(at * 1000)
        count += 1
        sources.take(peer, [frame])
    return count, found


def replay_change(device: ReplayedDevice, other: ReplayedDevice, per_minute: float, seed: int) -> bool | None:
    """Returns True if the change from a device to another is found in time, None if nothing changes."""
    sources, chance = _Replay(device.format), random.Random(seed)
    peer = sources.peer()
    start = sources.now_ms
    for at, frame in _traffic(device.frames, "steady", 0.5 * DAY, per_minute, chance):
        sources.now_ms = start + int(at * 1000)
        sources.take(peer, [frame])
        if sources.changes._changes:
            sources.look(peer)
    history = sources.changes.history(peer)
    if history is None or not history.is_learned(sources.now_ms):
        return None
    known, compares = {kind.layout for kind in history.kinds}, history.compares_layouts
    changed = start = sources.now_ms
    for number, (at, frame) in enumerate(_traffic(other.frames, "steady", DAY, per_minute, chance)):
        sources.now_ms = start + int(at * 1000)
        if number == 0:
            changed = sources.now_ms
        _, fits = sources.changes._compare(peer, frame, sources.now_ms)
        is_change = layout_of(frame, parser.read(frame[:512])) not in known if compares else fits is False
        if not is_change:
            return None
        sources.take(peer, [frame])
        if sources.look(peer):
            return True
        if number >= 100 and sources.now_ms - changed >= 60_000:
            return False
    return False


def _traffic(
    frames: tuple[bytes, ...], pattern: str, seconds: float, per_minute: float, chance: random.Random
) -> Iterator[tuple[float, bytes]]:
    """Yields the times and messages of a device, in order."""
    weights = [1 / (1 + place) ** 1.5 for place in range(len(frames))]
    rare = frames[-1]
    gap, at, night, week = 60 / per_minute, 0.0, 0, 0
    while at < seconds:
        if pattern == "steady":
            at += chance.expovariate(1 / gap)
            yield at, chance.choices(frames, weights)[0]
            continue
        by_day = 7 <= at % DAY / 3600 < 19
        length = 1 + int(chance.expovariate(1 / 15))
        at += chance.expovariate(1 / (gap * length * (0.6 if by_day else 4)))
        same = chance.choices(frames, weights)[0] if chance.random() < 0.7 else None
        for _ in range(length):
            at += chance.expovariate(1 / min(1.0, gap / 4))
            yield at, same or chance.choices(frames, weights)[0]
        if pattern == "jobs" and at // DAY > night and at % DAY > 2 * 3600:
            night = int(at // DAY)
            for _ in range(200):
                at += chance.expovariate(2)
                yield at, rare
        if pattern == "restarts" and at // (7 * DAY) > week:
            week = int(at // (7 * DAY))
            at += 300
            for _ in range(60):
                at += 0.5
                yield at, chance.choice(frames[len(frames) // 2 :])


def _count_changes(chosen: list[ReplayedDevice], per_minute: float, seed: int) -> None:
    chance, results = random.Random(seed), Counter[bool | None]()
    for number, device in enumerate(chosen):
        for other in chance.sample(chosen, min(5, len(chosen))):
            found = replay_change(device, other, per_minute, seed + number)
            results[found] += 1
            if found is False:
                print(f"not found: {device.name} ({device.format or 'no format'}) to {other.name}", flush=True)
    print(f"{results[True]} of {results[True] + results[False]} changes found within 100 messages or a minute")


def main() -> None:
    """Prints the changes found and the totals."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--days", type=float, default=30.0, help="days of each device and pattern")
    options.add_argument("--per-minute", type=float, default=2.0, help="mean number of messages of a device")
    options.add_argument("--pattern", choices=PATTERNS, action="append", help="only this pattern; repeatable")
    options.add_argument("--every", type=int, default=1, help="replay only every Nth device")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--changes", action="store_true", help="count the changes that are found")
    given = options.parse_args()
    single = list(devices())
    chosen = [*single, *mixed_devices(single)][:: given.every]
    if given.changes:
        _count_changes(chosen, given.per_minute, given.seed)
        return
    start, messages, alarms, runs = time.monotonic(), 0, 0, 0
    for pattern in given.pattern or PATTERNS:
        found_by: Counter[str] = Counter()
        for number, device in enumerate(chosen):
            count, found = replay(device, pattern, given.days, given.per_minute, given.seed + number)
            messages, alarms, runs = messages + count, alarms + len(found), runs + 1
            found_by[device.origin] += len(found)
            for text in found:
                print(f"{pattern}: {device.origin}, {device.name} ({device.format or 'no format'}): {text}", flush=True)
        print(f"{pattern}: {found_by.total()} changes of {len(chosen)} devices", flush=True)
    years = runs * given.days / 365
    print(
        f"{messages:,} messages of {len(chosen)} devices, {years:.1f} device years: {alarms} changes found by mistake,"
        f" {alarms / years:.2f} a device and year ({time.monotonic() - start:.0f} s)"
    )


if __name__ == "__main__":
    main()
