"""Parses socket reads in which frames of any kind are mixed, if only time and text are needed.

Two expressions run over the read in PCRE2. The first is made of all ``layouts`` and matches most frames of most reads.
The second, which is many times larger, matches headers of any kind (``any_header``) in the frames that are left. Both
replace each header by a line with the stamp (``columns``); the text up to the next header is the second line. The
reference parser reads frames that neither matches. Without PCRE2 it reads all frames. If most frames of the last reads
had other headers, the second expression runs first.

For the column ``auto``, a third line has MSGID and structured data of vendors. They are kept from plain headers of RFC
5424 only. The reference parser reads any other header with structured data.
"""

from functools import cache
from operator import add

from bridge.syslog.columns import ALWAYS, NO_STAMP, TEXT, Columns
from bridge.syslog.fast.any_header import any_header
from bridge.syslog.fast.fields import parse_each
from bridge.syslog.fast.layouts import LAYOUTS, PLAIN_5424, expression
from bridge.syslog.fast.mixed_rows import (
    DATA_IN_PLACE,
    MSGID_IN_PLACE,
    REPLACEMENT,
    UNKNOWN,
    Rows,
    complete,
    in_milliseconds,
    mark,
)
from bridge.syslog.fast.pcre2 import Rewriter, rewriter
from bridge.syslog.fast.plain_patterns import BOM, ISO_TIME, PRI, SD, WORD, after_offset_auto
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.frames import list_of

_UNKNOWN = NO_STAMP + UNKNOWN
_MSG = b"(?: " + BOM + rb"[ \t]*+|(?=\n|\Z))"
_AFTER_OFFSET = b" " + WORD + b" " + WORD + b"(?<!:) " + WORD + b" " + WORD + b" (?:" + SD + b")" + _MSG
_AFTER_OFFSET_AUTO = after_offset_auto(mark(DATA_IN_PLACE), mark(MSGID_IN_PLACE))


@cache
def _known_layout(*, auto: bool) -> Rewriter | None:
    """Returns the rewriter for headers of known layouts. It marks other frames, which stay whole."""
    rfc5424 = b"1 " + ISO_TIME + (_AFTER_OFFSET_AUTO if auto else _AFTER_OFFSET)
    others = (expression(layout, ALWAYS, until="text") for layout in LAYOUTS if layout is not PLAIN_5424)
    return rewriter(
        rb"\n++(?|" + PRI + b"(?|" + in_milliseconds(b"|".join((rfc5424, *others))) + b")|" + mark(UNKNOWN) + b")",
        REPLACEMENT + (b"${kept}\n" if auto else b""),
    )


def read_mixed(block: bytes, needs: frozenset[str] = TEXT, pause: RetryPause | None = None) -> Columns:
    """Returns the columns of a block's frames: the times, and ``text``, ``auto`` or both.

    ``pause`` remembers whether the layouts fit the earlier reads of a sender.
    """
    auto = "auto" in needs
    rewriters = _known_layout, any_header
    skip = pause is not None and pause.should_skip()
    found = _rows(rewriters[skip](auto=auto), block, auto=auto)
    if found is None:
        return parse_each(list_of(block), needs)
    unknown = [row for row, stamp in enumerate(found.stamps) if stamp == _UNKNOWN] if _UNKNOWN in found.stamps else []
    if pause and not skip and 2 * len(unknown) > len(found.texts):
        pause.record_failure()
    elif pause and not skip:
        pause.reset()
    if unknown:
        rest = b"\n" + b"\n".join([found.texts[row] for row in unknown])
        others = _rows(rewriters[not skip](auto=auto), rest, auto=auto)
        for column, values in zip(found, others or (), strict=False):
            for row, value in zip(unknown, values, strict=False):
                column[row] = value
    blank = complete(found, block, split="text" in needs)
    fields = {"stamp": found.stamps}
    if "text" in needs:
        fields["text"] = found.texts
    if auto:
        fields["auto"] = list(map(add, found.kept, found.texts)) if any(found.kept) else found.texts
    return Columns(len(found.texts), dict(fields), blank)


def _rows(rewrite: Rewriter | None, block: bytes, *, auto: bool) -> Rows | None:
    """Returns the rows of a block, or None if PCRE2 cannot rewrite it."""
    rewritten = rewrite(block) if rewrite else None
    if rewritten is None:
        return None
    lines = rewritten[0].split(b"\n")
    size = 3 if auto else 2
    # The first item is empty, because a block begins with an LF.
    return Rows(lines[1::size], lines[size::size], lines[2::size] if auto else [])
