"""Tests reads in which frames of several products are mixed: which expression reads them, and what is left over."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.formats import FORMATS
from bridge.routing import Disposition
from bridge.routing.profile import needs_of
from bridge.syslog import parser
from bridge.syslog.columns import ALWAYS, TEXT
from bridge.syslog.fast import mixed_formats
from bridge.syslog.fast.mixed_formats import read_mixed
from bridge.syslog.fast.pairs import times_of_cef, times_of_json, times_of_pairs
from bridge.syslog.reader import parse_rows, read_columns
from bridge.syslog.shapes import keyvalue
from bridge.util import pcre2
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


@needs_pcre2
@pytest.mark.parametrize("file", sorted(MIXES.rglob("*.yaml")), ids=lambda file: file.stem)
def test_columns_of_a_site_rarely_need_the_reference_parser(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each product is read with the columns of its format, as in the pipeline."""
    by_format: dict[str, list[bytes]] = {}
    for message in read_mix(file).render(2000, MOMENT):
        by_format.setdefault(message.device.product.format, []).append(message.text)
    reference_parser = CountedReference()
    monkeypatch.setattr(parser, "read", reference_parser)
    for name, frames in by_format.items():
        payload = FORMATS[name].payload
        needs = needs_of(Disposition("deliver", "r", "i", payload=payload, format=name, refined=True))
        before = reference_parser.calls
        assert read_columns(block(*frames), needs).count == len(frames)
        print(f"{name}: {reference_parser.calls - before} of {len(frames)}")
    assert reference_parser.calls <= 2000 // 33


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
    assert list(parse_rows(block(*frames), TEXT | {"hostname"})["hostname"]) == expected
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


_MEMBERS = st.sampled_from(
    [b'"EventTime":"2026-11-23 07:24:00"', b'"n":1', b'"LogTimestamp": "Mon Nov 23 07:24:00 2026"', b'"log":"a, {b}"',
     b'"@timestamp" : "2026-11-23T07:24:00.417+01:00"', b'"timestamp":""', b'"timestamp":"Feb 30 07:24:00"',
     b'"eventtime":"1795418640"', b'"x":{"y":"z"}',
     b'"x":{"timestamp":"2026-11-23T07:24:00Z"}', b'"log":"\\"timestamp\\""']
)  # fmt: skip
OBJECTS = st.lists(
    st.lists(_MEMBERS, max_size=5).map(lambda own: b"{" + b", ".join(own) + b"}"), min_size=1, max_size=5
)


@needs_pcre2
def test_times_of_json_equal_reference() -> None:
    hits = HitRate()

    @settings(max_examples=500, deadline=None)
    @given(OBJECTS)
    def compare(texts: list[bytes]) -> None:
        for text, stamp in zip(texts, times_of_json(texts), strict=True):
            expected = keyvalue.read_json(b"", text) or SimpleNamespace(second=b"", fraction=b"", offset=b"")
            hits.note(stamp is not None)
            assert stamp is None or stamp[:3] == (expected.second, expected.fraction, expected.offset)

    compare()
    hits.check(0.3)


_EXTENSIONS = st.lists(
    st.sampled_from(
        [
            b"rt=1795418640250",
            b"rt=Nov 23 2026 07:24:00 UTC",
            b"rt=",
            b"start=1795418640250",
            b"dvchost=a",
            b"msg=a rt b",
        ]
    ),
    max_size=4,
)


@settings(max_examples=500, deadline=None)
@given(st.lists(_EXTENSIONS.map(lambda own: b"CEF:0|A|B|1|2|rt|3|" + b" ".join(own)), min_size=1, max_size=5))
def test_times_of_cef_equal_reference(texts: list[bytes]) -> None:
    found = times_of_cef(texts)
    assert [stamp and stamp[:3] for stamp in found] == [
        keyvalue.time_of_cef(text)[:3] if pcre2.load() else None for text in texts
    ]


@needs_pcre2
@pytest.mark.parametrize(
    "frame",
    [
        b'<13>{"EventTime":"2026-11-23 07:24:00","Hostname":"dc2.example.org","EventID":4624}',
        b'{"@timestamp":"2026-11-23T07:24:00.417Z","kubernetes":{"pod":"a"},"log":"GET /"}',
        b'<14>{"log":"no time"}',
        b"<134>CEF:0|FireEye|CMS|9.0|MC|malware-callback|7|rt=1795418640250 dvchost=cms-1 proto=tcp",
        b"<149>fenotify-3463232.alert: CEF:0|Trellix|MPS|10.0|IM|match|1|rt=Nov 23 2026 07:24:00 UTC src=192.0.2.10",
        b'<164>fenotify-7441437.warning: {"msg":"normal","product":"HX"}',
        b"<86>apache2: pam_succeed_if(httpd:auth): requirement not met",
    ],
)
def test_times_in_texts_never_use_the_reference_parser(frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    check([frame] * 2)
    monkeypatch.setattr(parser, "read", None)
    monkeypatch.setattr(keyvalue, "read_json", None)
    assert read_mixed(block(frame, frame)).count == 2


@pytest.mark.parametrize(
    "frame",
    [
        b"time=1795418640|hostname00089: Nov 23 2026 07:24:00.398 UTC: %FOO-6-BAR: by address",
        b"<13>Nov 23 07:24:01 relay. Nov 23 07:24:00 bastion-2 sshd[4711]: Accepted publickey for anna",
        b'<134>{"LogTimestamp": "\tMon Nov 23 07:24:00 2026","Customer": "x"}',
        b'<13>{"EventTime":"2<13>{","LogTimestamp":"Nov 23 2026 07:24:00","EventID":4624}',
        b"<134>Nov 23 07:24:00 ltm-b ASM:CEF:0|F5|ASM|16.1[1]: egal URL|Illegal URL|5|dvchost=ltm-b",
        b"<134> 23/11/2026:07:24:00  0-PPE-0 : %ASA-6-302013: default TCP CONN_DELINK 1088 0 :  Source 192.0.2.3:44010",
        b"<189>20261123T072400Zdc-sw-2: 2026 Nov 23 07:24:00 UTC: %ETHPORT-5-SPEED: Interface Ethernet1/33",
        b"<30> 2026-11-23T07:24:00.250Z gw app:   %ASA-6-302013: text",
        b'<134>Nov 23 07:24:00 41 {"a":1}',
        b"<134>Nov 23 07:24:00 user.info nas {a}",
        b'<134>Nov 23 07:24:00 web info {"a": 1}',
    ],
)
def test_texts_that_resemble_a_layout_equal_reference(frame: bytes) -> None:
    check([frame, frame])
    columns = parse_rows(block(frame, frame), frozenset(("content", "device", "app_name", "text")))
    for name in ("content", "device", "app_name"):
        assert list(columns[name]) == [getattr(parser.read(frame), name)] * 2
