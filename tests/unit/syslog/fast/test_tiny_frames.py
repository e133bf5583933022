"""Tests reads of thousands of tiny frames: they equal the reference, and the reference parser reads few of them."""

from __future__ import annotations

import random

import pytest

from bridge.batching.payload import replacement_for_empty
from bridge.syslog import parser
from bridge.syslog.fast.mixed_formats import read_mixed
from tests.unit.syslog.fast.test_mixed_formats import CountedReference, check, needs_pcre2

TINY = [b"", b" ", b"\r", b"<1>", b"<191>", b"<1> ", b"a", b"<", b"%", b"1", b"1 ", b"a:", b"a=1", b"{", b":", b"<1>a"]


@pytest.mark.parametrize("seed", range(20))
def test_tiny_frames_equal_reference(seed: int) -> None:
    choose = random.Random(seed)
    check([choose.choice(TINY) for _ in range(choose.randrange(1, 500))])
    check([b""] * seed + [choose.choice(TINY)] + [b""] * (20 - seed))


@pytest.mark.parametrize("frame", [b"a", b"", b"<1>"])
def test_read_of_one_tiny_frame_equals_reference(frame: bytes) -> None:
    check([frame] * 40_000)


@needs_pcre2
@pytest.mark.parametrize("frame", [b"<1>", b"a", b""])
def test_reference_parser_reads_alike_frames_once(frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    reference_parser = CountedReference()
    monkeypatch.setattr(parser, "read", reference_parser)
    read = read_mixed(b"\n" + b"\n".join([frame] * 40_000))
    assert reference_parser.calls <= 1
    assert read.count == (40_000 if frame else 0)
    assert len(read.blank) == (40_000 if frame == b"<1>" else 0)
    assert all(replacement_for_empty(blank) == frame for blank in set(read.blank.values()))
