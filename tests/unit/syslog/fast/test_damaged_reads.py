"""Tests that readers which remember earlier reads give the columns of the reference parser for damaged reads.

The frames are those of all site mixes and of all layouts, damaged, and the beginning of one before the end of another.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bridge.syslog.reader import Reader
from tests.bench.mix import MIXES, read_mix
from tests.unit.syslog.fast.generated import block
from tests.unit.syslog.fast.test_mixed_columns import INTACT, NEEDS, check, check_columns
from tests.unit.syslog.mutation import mutated

MOMENT = datetime(2026, 11, 23, 7, 24, tzinfo=UTC)
LONGEST = 400
"Bytes of a frame that are used: the readers differ in headers only."


def frames_of_sites() -> Iterator[bytes]:
    for file in sorted(MIXES.rglob("*.yaml")):
        yield from (message.text[:LONGEST] for message in read_mix(file).render(400, MOMENT))


FRAMES = [*INTACT, *frames_of_sites()]


def damaged(chance: random.Random) -> list[bytes]:
    """Returns the frames of a read: of many kinds, or mostly of two."""
    kinds = FRAMES if chance.random() < 0.7 else chance.sample(FRAMES, 2)
    frames = list(mutated(chance.getrandbits(30), chance.randrange(20, 80), kinds))
    for place in range(0, len(frames), 4):
        first, second = chance.choice(FRAMES), chance.choice(FRAMES)
        cut = chance.randrange(5, 60)
        frames[place] = first[:cut] + second[chance.randrange(cut + 10) :]
    frames[1::3] = [chance.choice(kinds) for _ in frames[1::3]]
    return [frame.replace(b"\n", b" ") for frame in frames]


@pytest.mark.parametrize("reads", [pytest.param(60, id="60"), pytest.param(20_000, id="20000", marks=pytest.mark.long)])
def test_damaged_reads_equal_reference(reads: int) -> None:
    readers = [(Reader(), needs) for needs in NEEDS]
    for seed in range(reads):
        chance = random.Random(seed)
        frames = damaged(chance)
        for reader, needs in chance.sample(readers, 3):
            check_columns(frames, needs, reader.read(block(*frames), needs).rows())
        check(frames, chance.choice(NEEDS))
