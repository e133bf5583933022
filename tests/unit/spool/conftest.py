"""Defines a spool without a thread, whose clocks a test advances."""

import os

import pytest

from bridge.batching import Group
from bridge.spool import BatchLimits, batch_reader
from tests.harness.builders import build_spool

BOUNDS = dict.fromkeys(("refused", "oversize", "damaged", "unrouted"), 1_000_000)
NOON = 1_795_435_200


class Clocks:
    """A wall clock and a monotonic clock, in seconds."""

    def __init__(self):
        self.wall = float(NOON)
        self.monotonic = 100.0

    def advance(self, seconds):
        self.wall += seconds
        self.monotonic += seconds


class SpoolFixture:
    """A spool directory, its clocks, and the spool object that owns the directory now."""

    NOON_MS = NOON * 1000

    def __init__(self, directory, **limits):
        self.directory = directory
        self.clocks = Clocks()
        self.limits = BatchLimits(**limits)
        self.bounds = dict(BOUNDS)
        self.spool = None
        self.sealed = []
        self.errors = []

    def open(self):
        self.spool = build_spool(
            self.directory, recover=False, limits=self.limits, wall=lambda: self.clocks.wall,
            clock=lambda: self.clocks.monotonic, bounds=self.bounds, on_error=self.errors.append,
        )  # fmt: skip
        self.sealed = []
        self.spool.subscribe(self._add_sealed)
        return self.spool.recover()

    def _add_sealed(self, batch):
        # A test may have replaced the list.
        self.sealed.append(batch)

    def crash(self):
        """Closes all descriptors and the lock, as the end of the process does."""
        for batch in self.spool._by_age:
            os.close(batch.descriptor)
        self.spool._lock.release()
        self.spool = None

    def restart(self):
        self.crash()
        return self.open()

    def append(self, *events, intake="a", slot=0, encoding="lines", ms=None, spread_ms=0):
        ms = self.NOON_MS + slot * self.limits.resolution_ms if ms is None else ms
        slot = ms // self.limits.resolution_ms
        data = b"".join(event + b"\n" for event in events)
        group = Group(intake, encoding, slot, ms, ms + spread_ms, len(events), data)
        for part in self.spool.parts(group):
            self.spool.append(part)

    def seal(self):
        self.clocks.advance(self.limits.max_age)
        self.spool.seal_due()
        return self.sealed

    def names(self, intake="a"):
        folder = self.directory / intake
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    @staticmethod
    def events(batches):
        """Returns the events of the batches as the courier would send them."""
        found = []
        for batch in batches:
            pieces = (
                batch_reader.cut(batch_reader.Piece.whole(batch), 1000, 1000, 10**6)
                if batch.timed
                else [batch_reader.Piece.whole(batch)]
            )
            for piece in pieces:
                found += batch_reader.as_plain([piece]).split(b"\n")
        return found


@pytest.fixture
def make_spool_fixture(tmp_path):
    """Returns a function that opens a spool; every spool is closed after the test."""
    made = []

    def make(directory=None, **limits):
        spool_fixture = SpoolFixture(directory or tmp_path / "spool", **limits)
        spool_fixture.open()
        made.append(spool_fixture)
        return spool_fixture

    yield make
    for spool_fixture in made:
        if spool_fixture.spool is not None:
            spool_fixture.crash()


@pytest.fixture
def spool_fixture(make_spool_fixture):
    return make_spool_fixture()
