"""Tests reads in which frames of several products are mixed: which expression reads them, and what is left over."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog import parser
from bridge.syslog.columns import ALWAYS, TEXT
from bridge.syslog.fast import mixed_formats
from bridge.syslog.fast.mixed_formats import parse_all, read_mixed
from bridge.syslog.fast.pairs import times_of_pairs
from bridge.syslog.shapes import keyvalue
from tests.bench.mix import MIXES, read_mix
from tests.unit.syslog.fast.generated import CountedReference, HitRate, block
from tests.unit.syslog.fast.test_layouts import KINDS
from tests.unit.syslog.fast.test_mixed_formats import check, needs_pcre2

MOMENT = datetime(2026, 11, 23, 7, 24, tzinfo=UTC)
SRX = b'<14>1 2026-11-23T07:24:00.003Z srx-1 RT_FLOW - ID [junos@2636.1.1.1.2.129 reason="TCP FIN"]'
ODD = b"<30>Nov 23 07:24:00 gw some text"


@pytest.fixture
def left_to_any_header(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns the number of frames in each block that the expression for any header has read."""
    left: list[int] = []
    real = mixed_formats.any_header

    def counted(*, auto: bool) -> Callable[[bytes], object]:
        rewrite = real(auto=auto)
        assert rewrite is not None
        return lambda block: left.append(block.count(b"\n")) or rewrite(block)

    monkeypatch.setattr(mixed_formats, "any_header", counted)
    return left


@needs_pcre2
def test_layouts_read_most_frames_of_a_site(left_to_any_header: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    reference_parser, hits = CountedReference(), HitRate()
    monkeypatch.setattr(parser, "read", reference_parser)
    for file in sorted(MIXES.glob("*.yaml")):
        frames = [message.text for message in read_mix(file).render(2000, MOMENT)]
        random.Random(22).shuffle(frames)
        for needs in (TEXT, ALWAYS | {"auto"}):
            assert read_mixed(block(*frames), needs).count == len(frames)
            hits.note(len(frames), len(frames))
    hits.answered -= sum(left_to_any_header)
    hits.check(0.9)
    assert reference_parser.calls <= hits.generated // 100


def test_mixed_layouts_equal_reference() -> None:
    frames = [frame for kind in KINDS.values() for frame in kind]
    for seed in range(20):
        random.Random(seed).shuffle(frames)
        check([*frames, b"", ODD, *frames[:3], b" ", b""])


@needs_pcre2
def test_order_is_swapped_while_most_frames_have_other_headers(left_to_any_header: list[int]) -> None:
    pause = mixed_formats.RetryPause()
    for _ in range(6):
        read_mixed(block(ODD, ODD, SRX), TEXT, pause)
    assert left_to_any_header.count(3) >= 3
    assert left_to_any_header.count(2) >= 2, "the layouts are tried again after the pause"


@needs_pcre2
@pytest.mark.parametrize("end", [b"", b" ", b"  \t"])
def test_rfc5424_without_text_never_uses_the_reference_parser(monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    frames = [SRX + end, b"<14>1 - srx-1 RT_FLOW - - -" + end, SRX + b" text", ODD]
    check(frames)
    reference_parser = CountedReference()
    monkeypatch.setattr(parser, "read", reference_parser)
    assert set(read_mixed(block(*frames)).blank) == {0, 1}
    assert not reference_parser.calls


def test_frames_without_a_layout_do_not_send_the_others_to_the_reference_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = [b"<30>Nov 23 07:24:00 gw app: text", SRX]
    frames = [plain[0], ODD, b"no header", *(kind[0] for kind in KINDS.values()), *plain] * 3
    expected = [parser.read(frame).hostname for frame in frames]
    reference_parser = CountedReference()
    monkeypatch.setattr(parser, "read", reference_parser)
    assert list(parse_all(block(*frames), TEXT | {"hostname"})["hostname"]) == expected
    # Besides the two odd frames, the layouts without a host name: Sophos, SonicWall, Stormshield, FortiMail.
    assert reference_parser.calls <= 3 * (2 + 5)


_KEYS = st.sampled_from(
    [b"date", b"time", b"tz", b"timezone", b"eventtime", b"timestamp", b"id", b"xtime", b"time.x", b"devname"]
)
_VALUES = st.sampled_from(
    [b"2026-11-23", b"07:24:00", b'"2026-11-23 07:24:00 UTC"', b'"+0100"', b"CET", b"1795418640", b"17954186407951",
     b'"a date=x"', b'""', b"", b"a,b", b"(GMT-8:00)Pacific"]
)  # fmt: skip
PAIRS = st.lists(
    st.lists(st.builds(lambda key, value: key + b"=" + value, _KEYS, _VALUES), min_size=1, max_size=6).map(b" ".join),
    min_size=1, max_size=5,
)  # fmt: skip


@needs_pcre2
def test_times_of_pairs_equal_reference() -> None:
    hits = HitRate()

    @settings(max_examples=500, deadline=None)
    @given(PAIRS)
    def compare(texts: list[bytes]) -> None:
        for text, stamp in zip(texts, times_of_pairs(texts), strict=True):
            expected = keyvalue.read_pairs(b"", text) or SimpleNamespace(second=b"")
            hits.note(stamp is not None, bool(expected.second))
            if stamp is not None:
                assert stamp[:3] == (expected.second, expected.fraction, expected.offset)

    compare()
    hits.check(0.99)
