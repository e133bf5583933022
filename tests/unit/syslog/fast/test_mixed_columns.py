"""Tests that ``read_mixed`` gives the columns of the reference parser for reads of several layouts."""

import random
from collections.abc import Sequence

import pytest

from bridge.formats.registry import FORMATS
from bridge.routing.profile import PAYLOAD_NEEDS, Disposition, needs_of
from bridge.syslog import parser
from bridge.syslog.columns import ALWAYS, AUTO, Columns, stamp_of
from bridge.syslog.fast import mixed_formats
from bridge.syslog.fast.layouts import LAYOUTS
from bridge.syslog.fast.mixed_formats import read_mixed
from bridge.syslog.reader import read_columns
from bridge.syslog.structured_data import auto_text
from tests.unit.syslog.fast.generated import block, paused, stamps
from tests.unit.syslog.fast.test_layouts import KINDS, PLAIN
from tests.unit.syslog.fast.test_mixed_formats import FRAMES, needs_pcre2
from tests.unit.syslog.mutation import mutated

INTACT = [frame for kind in (*KINDS.values(), PLAIN) for frame in kind]
EMPTY = [
    b"<30>1 2026-11-23T07:24:00Z gw app - - -",
    b"<30>1 2026-11-23T07:24:00Z gw - - - -   text",
    b'<30>1 2026-11-23T07:24:00Z gw - 7 ID [a@1 b="c"] ',
    b'<30>2026-11-23T07:24:00Z gw app - ID [a@1 b="c"]',
    b'<30>2026-11-23T07:24:00Z gw app - - [a@1 b="c"] \xef\xbb\xbftext',
    b'<30>1 - - - - - [a@1 b="c"] <31>Nov 23 07:25:00 gw-2 app: text',
]


def needs_of_formats() -> list[frozenset[str]]:
    """Returns the columns that each format and each payload form needs, without duplicates."""
    formats = {
        needs_of(Disposition("deliver", "r", "i", payload=each.payload, format=name, refined=True))
        for name, each in FORMATS.items()
    }
    return sorted(formats | {*PAYLOAD_NEEDS.values()}, key=sorted)


NEEDS = [
    *needs_of_formats(),
    frozenset(("hostname", "text")),
    frozenset(("hostname", "app_name", "procid", "msgid", "structured_data", "auto", "raw")),
    frozenset(("device", "content", "msg", "text")),
    frozenset(("device", "content", "structured_data", "hostname")),
]


def check(frames: Sequence[bytes], needs: frozenset[str]) -> None:
    check_columns(frames, needs, read_columns(block(*frames), needs))
    if needs <= AUTO:
        check_columns(frames, needs, read_mixed(block(*frames), needs | ALWAYS, paused()))


def check_columns(frames: Sequence[bytes], needs: frozenset[str], columns: Columns) -> None:
    rows = [frame for frame in frames if frame.strip(b" \t\r\n\0")]
    read = [parser.read(frame) for frame in rows]
    assert columns.count == len(rows)
    assert needs - ALWAYS <= columns.fields.keys()
    for name in needs - ALWAYS - {"raw", "text", "auto"}:
        assert list(columns[name]) == [getattr(parts, name) for parts in read], name
    texts = [parts.msg.lstrip(b" \t") for parts in read]
    if "text" in needs:
        assert list(columns["text"]) == texts
    if "auto" in needs:
        assert list(columns["auto"]) == [
            auto_text(parts.msgid, parts.structured_data, text) for parts, text in zip(read, texts, strict=True)
        ]
    if "raw" in needs:
        assert list(columns["raw"]) == rows
    assert stamps(columns) == [stamp_of(parts.second, parts.fraction, parts.offset) for parts in read]
    if not needs <= {"auto"}:
        # A vendor's structured data alone are an event of that column.
        assert columns.blank == {row: frame for row, frame in enumerate(rows) if not texts[row]}


@pytest.mark.parametrize("needs", [frozenset(("text",)), frozenset(("auto",))], ids=["text", "auto"])
def test_header_behind_another_one_is_text(needs: frozenset[str]) -> None:
    for header in (b"<13>", b'<13>1 - - - - - [a@1 b="c"] ', b'<13>Nov 23 07:24:00 gw app: [a@1 b="c"] '):
        check([header + frame for frame in (*INTACT, *FRAMES)], needs)


@pytest.mark.parametrize("needs", NEEDS, ids=lambda needs: "-".join(sorted(needs)))
def test_columns_equal_reference(needs: frozenset[str]) -> None:
    frames = [*INTACT, *EMPTY, *FRAMES]
    check(frames, needs)
    for seed in range(12):
        random.Random(seed).shuffle(frames)
        check([frame.replace(b"\n", b" ") for frame in (b"", b" ", *mutated(seed, 300, frames), b"")], needs)


@needs_pcre2
@pytest.mark.parametrize("needs", NEEDS, ids=lambda needs: "-".join(sorted(needs)))
def test_known_layouts_never_use_the_reference_parser(needs: frozenset[str], monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = {layout.name for layout in LAYOUTS if needs & layout.unknown}
    frames = [frame for name, kind in KINDS.items() if name not in unknown for frame in kind] + PLAIN
    random.Random(1).shuffle(frames)
    expected = [parser.read(frame).msg.lstrip(b" \t") for frame in frames]
    monkeypatch.setattr(parser, "read", None)
    columns = read_columns(block(*frames), needs | {"text"})
    assert list(columns["text"]) == expected


@pytest.mark.parametrize("rewrite", [None, lambda block: None])
def test_reference_parser_reads_all_if_pcre2_does_not(rewrite: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_formats, "_known_layouts", lambda columns: rewrite)
    monkeypatch.setattr(mixed_formats, "_auto_layouts", lambda: rewrite)
    for needs in (AUTO, ALWAYS | {"content", "procid"}):
        assert read_mixed(block(*INTACT), needs).count == len(INTACT)
        check(INTACT, needs)


@needs_pcre2
def test_reference_parser_reads_structured_data_if_pcre2_cannot_cut_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixed_formats, "_after_data", lambda block: None)
    check(INTACT, frozenset(("structured_data", "msgid", "text")))
