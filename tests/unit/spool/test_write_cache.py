"""Tests the cache of appended lines: it is bounded, is read once, and never replaces the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batching import Group
from bridge.spool import Batch, BatchLimits, Spool, batch_reader
from tests.harness.builders import build_spool


def open_spool(directory: Path, *, keep: int) -> tuple[Spool, list[Batch]]:
    sealed: list[Batch] = []
    clock = iter(range(1_000_000))
    store = build_spool(
        directory, recover=False, limits=BatchLimits(max_events=4), clock=lambda: float(next(clock)), bounds={},
        keep=keep,
    )  # fmt: skip
    store.subscribe(sealed.append)
    store.recover()
    return store, sealed


def group(data: bytes, slot: int = 1) -> Group:
    return Group("a", "lines", slot, slot * 1000, slot * 1000, data.count(b"\n"), data)


def test_first_read_returns_the_cached_lines_and_the_next_reads_the_file(tmp_path: Path) -> None:
    store, sealed = open_spool(tmp_path / "spool", keep=1000)
    for line in (b"one\n", b"two\n", b"three\n", b"four\n"):
        store.append(group(line))
    (batch,) = sealed
    content = batch.path.read_bytes()
    assert content == b"one\ntwo\nthree\nfour\n"
    batch.path.write_bytes(content.upper())
    assert batch_reader.content(batch) == content
    assert batch_reader.content(batch) == content.upper()
    store.close()


def test_removed_file_is_missing_even_if_its_lines_are_cached(tmp_path: Path) -> None:
    store, sealed = open_spool(tmp_path / "spool", keep=1000)
    store.append(group(b"1\n2\n3\n4\n"))
    sealed[0].path.unlink()
    batch_reader.content(sealed[0])
    with pytest.raises(batch_reader.Missing):
        batch_reader.begin_all(sealed)
    assert not sealed[0].sending
    store.close()


@given(
    st.integers(0, 300),
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 40), st.booleans()), max_size=60),
)
def test_cache_is_bounded_and_equals_the_files(
    tmp_path_factory: pytest.TempPathFactory, keep: int, writes: list[tuple[int, int, int, bool]]
) -> None:
    store, sealed = open_spool(tmp_path_factory.mktemp("fresh") / "spool", keep=keep)
    for slot, count, length, read in writes:
        store.append(group((b"x" * length + b"\n") * count, slot))
        cached_bytes = sum(batch.size for batch in sealed if batch.fresh is not None)
        cached_bytes += sum(
            sum(map(len, batch.fresh or ())) for slots in store._slots.values() for batch in slots.values()
        )
        assert cached_bytes <= keep
        if read and sealed:
            batch = sealed[len(sealed) // 2]
            assert batch_reader.content(batch) == batch.path.read_bytes()
    store.seal_all()
    for batch in sealed:
        assert batch_reader.content(batch) == batch.path.read_bytes()
    store.close()
