"""Parses socket reads in which frames of any kind are mixed.

Two expressions run over the read in PCRE2. The first is made of all ``layouts`` and matches most frames of most reads.
The second, which is many times larger, matches headers of any kind (``any_header``) in the frames that are left, if
only time and text are needed. Both replace each header by lines: the stamp (``columns``), and the other columns that
are needed. The text up to the next header is the last line. The reference parser reads frames that neither matches.
Without PCRE2 it reads all frames. If most frames of the last reads had other headers, the second expression runs first.

For the column ``auto``, a line has MSGID and structured data of vendors. They are kept from headers of RFC 5424 only.
The reference parser reads any other header with structured data.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from operator import add

from bridge.syslog.columns import ALWAYS, AUTO, NO_STAMP, TEXT, TIME, Column, Columns
from bridge.syslog.fast.any_header import any_header
from bridge.syslog.fast.layouts import LAYOUTS, PARTS, Field, Layout, expression, up_to_auto
from bridge.syslog.fast.mixed_rows import (
    DATA_IN_PLACE,
    MSGID_IN_PLACE,
    OF_5424,
    REPLACEMENT,
    UNKNOWN,
    Rows,
    complete,
    in_milliseconds,
    mark,
)
from bridge.syslog.fast.plain_patterns import BOM, PID, PRI, SD
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.frames import BLANK, list_of
from bridge.syslog.grammar import PRIVAL, content_5424
from bridge.syslog.one_by_one import parse_each
from bridge.syslog.structured_data import auto_text
from bridge.util.rewriter import Rewriter, definitions, rewriter, shortener, with_calls

_UNKNOWN = NO_STAMP + UNKNOWN
_BEGINS = ("device", "content", "msg")
"Columns that end with the frame, in the order in which they begin. Each is a line up to where the next one begins."
_WORDS = ("hostname", "app_name", "procid", "msgid", "structured_data")
_GROUP = re.compile(rb"\(\?P<(\w+)>")
# PCRE2 copies a group byte by byte, and everything outside of matches at once.
_after_data = shortener(rb"\n(?:" + SD + b")", b"(?: " + BOM + rb"|(?=\n|\Z))")


@cache
def _auto_layouts() -> Rewriter | None:
    """Returns the rewriter for headers of known layouts, for the column ``auto``. It marks other frames."""
    auto = [up_to_auto(layout, mark(DATA_IN_PLACE), mark(MSGID_IN_PLACE)) for layout in LAYOUTS]
    known = b"|".join(expression(layout, ALWAYS, until="text") for layout in auto)
    known = with_calls(in_milliseconds(known), PARTS)
    return rewriter(
        rb"\n++(?|" + PRI + b"(?|" + known + b")|" + mark(UNKNOWN) + b")" + definitions(PARTS),
        REPLACEMENT + b"${kept}\n",
    )


@cache
def _known_layouts(columns: tuple[str, ...]) -> Rewriter | None:
    """Returns the rewriter for headers of known layouts, with a line for each of the columns. It marks other frames."""
    known = [
        in_milliseconds(expression(variant, ALWAYS | {*columns}, until="text", blank=variant.format == b"rfc5424"))
        for layout in LAYOUTS
        if layout.unknown.isdisjoint(columns)
        for variant in _variants(layout, columns)
    ]
    # A group has a number, and must have the same one in all alternatives. Their order differs, so a column may have
    # several numbers.
    numbers = [b"priority"]
    for pattern in known:
        at = 1
        for name in _GROUP.findall(pattern):
            if name not in numbers[at:]:
                numbers.insert(at, name)
            at = numbers.index(name, at) + 1
    places = {
        name: b"".join(b"${%d}" % number for number, found in enumerate(numbers, 1) if found == name.encode())
        for name in (*TIME, *columns)
    }
    pri = b"<(" + PRIVAL + b")>" if "priority" in columns else PRI + b"(){0}"
    alternatives = with_calls(b"|".join(_with_numbers(pattern, numbers) for pattern in known), PARTS)
    # The definitions come last: their groups have the highest numbers.
    return rewriter(
        rb"\n++(?|" + pri + b"(?|" + alternatives + b")|" + mark(UNKNOWN) + b")" + definitions(PARTS),
        b"\n" + b"\t".join(places[name] for name in TIME) + b"${*MARK}\n"
        + b"".join(places[name] + b"\n" for name in columns),
    )  # fmt: skip


def _variants(layout: Layout, columns: tuple[str, ...]) -> Iterable[Layout]:
    """Yields a layout whose fields are empty if they are ``-``, and that marks rows whose content is not in the frame.

    Where structured data are wanted, they stay at the beginning of the text, in a variant of their own.
    """
    of_5424 = layout.format == b"rfc5424"
    parts: list[bytes | str | Field] = [mark(OF_5424) if of_5424 and "content" in columns else b""]
    for part in layout.parts:
        if isinstance(part, Field) and part.name == "structured_data" and part.name in columns:
            rest = b"".join(part for part in layout.parts[layout.parts.index(part) + 1 :] if isinstance(part, bytes))
            yield replace(
                layout, parts=(*parts, "text", b"(?:" + part.pattern + b")(?<=\\])" + rest, mark(DATA_IN_PLACE))
            )
            parts.append(b"-")
        elif isinstance(part, Field) and (part.name in _WORDS if of_5424 else part.pattern == PID):
            parts += (rb"(?:-(?=[ \]\n]|\Z)|", part, b")")
        else:
            parts.append(part)
    yield replace(layout, parts=tuple(parts))


def _with_numbers(pattern: bytes, numbers: list[bytes]) -> bytes:
    """Replaces the names of groups by the numbers that they have in ``numbers``, with empty groups for the others."""
    at = 1

    def number(name: re.Match[bytes]) -> bytes:
        nonlocal at
        before, at = at, numbers.index(name[1], at) + 1
        return b"(){0}" * (at - before - 1) + b"("

    return _GROUP.sub(number, pattern)


def read_mixed(block: bytes, needs: frozenset[str] = TEXT, pause: RetryPause | None = None) -> Columns:
    """Returns the times and further columns of a block's frames.

    ``pause`` remembers whether the layouts fit the earlier reads of a sender.
    """
    if needs <= AUTO:
        found = _read_texts(block, auto="auto" in needs, pause=pause)
    else:
        found = _read_known(block, needs)
    if found is None:
        return parse_each(list_of(block), needs)
    blank = complete(found, block, split="text" in needs or not needs <= AUTO)
    fields: dict[str, Column] = {"stamp": found.stamps, **found.columns}
    if "auto" in needs and needs <= AUTO:
        fields["auto"] = list(map(add, found.kept, found.texts)) if any(found.kept) else found.texts
    elif "auto" in needs:
        fields["auto"] = list(map(auto_text, fields["msgid"], fields["structured_data"], found.texts))
    if "raw" in needs:
        fields["raw"] = [frame for frame in list_of(block) if frame.strip(BLANK)]
    fields["text"] = found.texts
    return Columns(len(found.texts), {name: fields[name] for name in needs & fields.keys() | {"stamp"}}, blank)


def _read_texts(block: bytes, *, auto: bool, pause: RetryPause | None) -> Rows | None:
    """Returns the times and texts of a block's frames, or None if PCRE2 cannot rewrite it."""
    names = ("kept",) if auto else ()
    rewriters = _auto_layouts() if auto else _known_layouts(()), any_header(auto=auto)
    skip = pause is not None and pause.should_skip()
    found = _rows(rewriters[skip], block, names)
    if found is None:
        return None
    unknown = [row for row, stamp in enumerate(found.stamps) if stamp == _UNKNOWN] if _UNKNOWN in found.stamps else []
    if pause and not skip and 2 * len(unknown) > len(found.texts):
        pause.record_failure()
    elif pause and not skip:
        pause.reset()
    if unknown:
        rest = b"\n" + b"\n".join([found.texts[row] for row in unknown])
        others = _rows(rewriters[not skip], rest, names)
        if others and len(others.texts) == len(unknown):
            _replace(found.stamps, unknown, others.stamps)
            _replace(found.texts, unknown, others.texts)
            if auto:
                _replace(found.kept, unknown, others.kept)
    return found


def _read_known(block: bytes, needs: frozenset[str]) -> Rows | None:
    """Returns the rows of a block with any columns, without those of unknown layouts. Returns None as above."""
    short, of_5424 = _names(needs)
    names = of_5424 if b">1 " in block[:9] else short
    found = _rows(_known_layouts(names), block, names)
    marked = {stamp for stamp in {*found.stamps} if stamp.endswith((OF_5424, DATA_IN_PLACE))} if found else None
    if marked and names != of_5424:
        found = _rows(_known_layouts(of_5424), block, of_5424)
    if found is None:
        return None
    columns, ending = found.columns, found.texts
    for name in reversed(_BEGINS):
        if name in columns:
            ending = list(map(add, columns[name], ending)) if any(columns[name]) else ending.copy()
            columns[name] = ending
    if marked and "structured_data" in columns:
        _cut_data(found)
    if marked and "content" in needs:
        fields = zip(columns["app_name"], columns["procid"], columns["msg"], strict=True)
        columns["content"] = [
            content_5424(*parts) if stamp in marked else content
            for stamp, content, parts in zip(found.stamps, columns["content"], fields, strict=True)
        ]
    return found


@cache
def _names(needs: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the columns that are lines of their own, without and with those of which RFC 5424's content is made."""
    wanted = needs - ALWAYS - {"auto", "raw", "text"}
    if "auto" in needs:
        wanted |= {"msgid", "structured_data"}
    return _ordered(wanted), _ordered(wanted | {"app_name", "procid", "msg"} if "content" in needs else wanted)


def _ordered(names: frozenset[str]) -> tuple[str, ...]:
    return (*sorted(names.difference(_BEGINS)), *(name for name in _BEGINS if name in names))


def _cut_data(rows: Rows) -> None:
    """Moves structured data from the beginning of the texts to their column."""
    places = [row for row, stamp in enumerate(rows.stamps) if stamp.endswith(DATA_IN_PLACE)]
    lines, _ = _after_data(b"\n" + b"\n".join(map(rows.texts.__getitem__, places))) or (b"", 0)
    parts = lines.split(b"\n")
    if len(parts) != 1 + 2 * len(places):
        _replace(rows.stamps, places, [_UNKNOWN] * len(places))
        return
    found = {"structured_data": parts[1::2], "msg": parts[2::2]}
    for name in found.keys() & rows.columns.keys():
        _replace(rows.columns[name], places, found[name])
    _replace(rows.texts, places, [text.lstrip(b" \t") for text in found["msg"]])


def _replace(column: list[bytes], places: Sequence[int], values: Sequence[bytes]) -> None:
    """Replaces the values of rows. All at once are faster."""
    if len(places) == len(column):
        column[:] = values
    else:
        for row, value in zip(places, values, strict=True):
            column[row] = value


def _rows(rewrite: Rewriter | None, block: bytes, names: Sequence[str]) -> Rows | None:
    """Returns the rows of a block, or None if PCRE2 cannot rewrite it."""
    rewritten = rewrite(block) if rewrite else None
    if rewritten is None:
        return None
    lines = rewritten[0].split(b"\n")
    size = 2 + len(names)
    # The first item is empty, because a block begins with an LF.
    columns = {name: lines[at::size] for at, name in enumerate(names, 2)}
    return Rows(lines[1::size], lines[size::size], columns.pop("kept", []), columns)
