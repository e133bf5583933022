"""Tests that ``read_mixed`` and the reference parser give the same result for every frame."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.syslog import parser
from bridge.syslog.columns import TEXT, stamp_of
from bridge.syslog.fast import mixed_formats
from bridge.syslog.fast.mixed_formats import read_mixed
from bridge.syslog.frames import block_of
from bridge.syslog.shapes import SHAPES
from bridge.util import pcre2
from tests.unit.syslog.fast.generated import (
    MANY_SECONDS,
    MANY_SECONDS_5424,
    CountedReference,
    HitRate,
    block,
    paused,
    stamps,
)
from tests.unit.syslog.mutation import mutated
from tests.unit.syslog.samples import SAMPLES

EXAMPLES = [shape.example for shape in SHAPES.values()]
FRAMES = [*EXAMPLES, *(sample.frame for sample in SAMPLES)]


needs_pcre2 = pytest.mark.skipif(
    pcre2.load() is None,
    reason="this machine has no libpcre2-8 (Debian: libpcre2-8-0): the reference parser reads all",
)


def check(frames: Sequence[bytes]) -> None:
    rows = [frame for frame in frames if frame.strip(b" \t\r\n\0")]
    read = [parser.read(frame) for frame in rows]
    empty = {row: frame for row, frame in enumerate(rows) if not read[row].msg.strip(b" \t")}
    for pause in (None, paused()):
        columns = read_mixed(b"".join(b"\n" + frame for frame in frames), pause=pause)
        assert columns.count == len(rows)
        assert set(columns.fields) in ({"stamp", "text"}, TEXT)
        assert stamps(columns) == [stamp_of(parts.second, parts.fraction, parts.offset) for parts in read]
        assert list(columns["text"]) == [parts.msg.lstrip(b" \t") for parts in read]
        assert columns.blank == empty


@pytest.mark.parametrize("frame", FRAMES)
def test_each_device_message_equals_reference(frame: bytes) -> None:
    assert b"\n" not in frame
    check([frame])
    check([frame, b"<30>Nov 23 07:24:00 gw app: x", frame, b"no syslog", b"", frame])


def test_all_device_messages_in_one_read_equal_reference() -> None:
    check(FRAMES)
    check(FRAMES[::-1])


@pytest.mark.parametrize("seed", range(40))
def test_damaged_messages_equal_reference(seed: int) -> None:
    check([frame.replace(b"\n", b" ") for frame in mutated(seed, 300, FRAMES)])


@needs_pcre2
def test_most_damaged_messages_never_use_the_reference_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    reference_parser, hits = CountedReference(), HitRate()
    monkeypatch.setattr(parser, "read", reference_parser)
    for seed in range(10):
        frames = [frame.replace(b"\n", b" ") for frame in mutated(seed, 300, FRAMES)]
        read_mixed(b"".join(b"\n" + frame for frame in frames))
        hits.note(len(frames) - reference_parser.calls, len(frames))
        reference_parser.calls = 0
    hits.check(0.65)


@needs_pcre2
def test_plain_messages_never_use_the_reference_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    reference_parser, hits = CountedReference(), HitRate()
    monkeypatch.setattr(parser, "read", reference_parser)

    @settings(max_examples=100, deadline=None)
    @given(MANY_SECONDS | MANY_SECONDS_5424)
    def check_count(frames: list[bytes]) -> None:
        before = reference_parser.calls
        assert read_mixed(block(*frames)).count == len(frames)
        hits.note(len(frames) - (reference_parser.calls - before), len(frames))

    check_count()
    hits.check(0.99)


@pytest.mark.long
@pytest.mark.parametrize("thousand", range(1, 11))
def test_million_damaged_messages_equal_reference(thousand: int) -> None:
    for seed in range(thousand * 1000, thousand * 1000 + 1000):
        check([frame.replace(b"\n", b" ") for frame in mutated(seed, 100, FRAMES)])


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_generated_messages_equal_reference(messages, data) -> None:
    check([frame.replace(b"\n", b" ") for frame in data.draw(messages.reads)])


@pytest.mark.parametrize("frames", [[], [b""], [b"", b" "], [b"x"], [b"", b"<30>Nov 23 07:24:00 gw app: x"]])
def test_small_reads_equal_reference(frames: list[bytes]) -> None:
    if frames:
        assert isinstance(block_of(frames), bytes)
    check(frames)


@pytest.mark.parametrize(
    "frame",
    [
        b"<13>2026-11-23e-1: 004690: *Nov 23 07:24:00.250 UTC: %SYS-5-CONFIG_I: Configured from console by vty0",
        b"<6>CEF:0-5: NetScreen device_id=ssg-5  [Root]system-notification-00257(traffic): src=192.0.2.11 dst_port=443",
        b"<13>Nov 23: *Dot1x_NW_MsgTask_0: Nov 23 07:24:00.123: %DOT1X-3-INVALID_REPLAY_CTR: 1x_eapkey.c:458 x",
        b'<134> 1795418640.250000000 msp-1 CheckPoint 1370 - [action:"Accept"; flags:"166216"; ifdir:"in"]',
        b" CEF:0|fireeye|hx|5.0|Alert|Alert|9|rt=Nov 23 2026 07:24:00 UTC dvchost=hx-1 dst=192.0.2.4",
        b"<189>Nov 23 07:24:00 2026:11:23-07:24:00access-sw-07: %LINK-3-UPDOWN: Interface GigabitEthernet1/0/7 is up",
        b" Nov 23 07:24:00.23 07:24:00.272: %SEC-6-IPACCESSLOGP: list 177 denied",
        b"<190>Original Address=23 time=07:24:00xa[4711]: [Originator@6876 sub=vpxLro] lro-1",
        b"<85>2026-11-23T08:24:00.123456+04:79 23456+01:00 web-1 sudo:   anna : TTY=pts/0 ; COMMAND=/bin/ls",
        b"<134>Nov 23 07:24:00 ltm-b info CEF:0|tmm1[17002]: Rule /Common/log <CLIENT_ACCEPTED>: 192.0.2.8",
        b"<187>1 Nov 23 07:24:00: %LINK-3-UPDOWN: Interface Vlan20, changed state to down",
        b'<14>id=firewall time="2026-11-23 08:24:00" fw="sns-west" tz=west" tz=+0100 startime="2026-11-23 08:23:59"',
        b"<13>Nov 23 07:24:00 brain-1 vectra_cef -: CEF:: |Vectra Networks|X Series|8.1|hsc|Host Score|3|x=y",
        b"<167>Nov 23 07:24:00 AM.245 %PIX-7-710005: UDP request discarded",
        b"<13>Nov 23 07:24:00 PM.245 app: text",
        b"<134>1 1795418640.250000000 UTC urls src=192.0.2.30:50",
        b"<86>Nov 23 07:24:01 relay. 2026-11-23T07:24:00.250Z bastion-2 sshd 4711 - - text",
        b"<189>882: Hall 4: [1]: 7: Nov 23 07:24:00: %SYS-5-RESTART: System restarted",
        b"<167>Nov 23 07:24:00 20261123T072400Z45 %PIX-7-710005: UDP request discarded",
        b"time=1795418640|lille: Nov 23 07:24:00: %SYS-5-RESTART: System restarted",
        b"<86>Nov 23 07:24:00 web-5  1 2026-11-23T07:24:00.250Z bastion-2 sshd 4711 - - text",
        b'<27>edge-4: [syslog@9 s_sn="77" s_id="edge-4:514"]: Nov 23 07:24:00: last message repeated 2 times',
        b"<13><14>Nov 23 07:24:00 gw app: a header behind a second PRI is text",
        b"<13><14>1 2026-11-23T07:24:00Z gw app - - - text",
        b'<30>2026-11-23T07:24: gw app - ID [a@1 b="c"]',
        b"<86>Nov 23 07:24:00 CET(sd-pam)[2041]: session closed",
        b"<14>Nov 23 07:24:00 dc1 MSWinEventLog %ACE-3-251010: Probe failed",
    ],
)
def test_regression_equals_reference(frame: bytes) -> None:
    check([frame])


def test_read_with_an_invalid_date_equals_reference() -> None:
    check([b"<30>Nov 23 07:24:00 gw app: x", b"<30>Feb 30 07:24:00 gw app: x", b"<30>Nov 23 07:24:00 gw app: y"])


# An example without text after the header, a header within a header, and a time that only one device writes.
SLOW = {"rfc5424-without-version", "rfc5424-relayed", "clavister"}


def test_most_shapes_never_use_the_reference_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "read", None)
    for name, shape in SHAPES.items():
        if name not in SLOW:
            assert read_mixed(b"\n" + shape.example).count == 1, name


def test_reference_parser_reads_all_without_pcre2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_formats, "_known_layouts", lambda columns: None)
    check(FRAMES)


def test_reference_parser_reads_all_if_pcre2_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_formats, "_known_layouts", lambda columns: lambda block: None)
    check(FRAMES)
