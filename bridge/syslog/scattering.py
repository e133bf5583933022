"""As ``stripping``, for reads whose frames bear seconds of their own: a plain header of one RFC each, and nothing is
wanted but time and text. Clocks at random, a relay that replays its day, a read in which one second ends.

One expression cuts the read at its headers. It takes anything as long as a second for one: what stands there is looked
at afterwards, each distinct text once for all reads, which is half the work of an expression that knows the months.
What is accepted is what the fast path in ``columns`` accepts; anything else is left to others. A property test holds
both equal.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from bridge.syslog.columns import (
    BOM,
    BSD,
    COLON,
    FRACTION,
    HOST,
    ISO,
    OFFSET,
    PID,
    PRI,
    SD,
    TAG,
    WORD,
    Columns,
    are_times,
)

# Behind the header: the first letter of the text shows.
_TEXT = rb"(?:(?=[!-~])|[ \t]*+(?=.))"


class _Kind(NamedTuple):
    """One RFC."""

    expression: re.Pattern[bytes]
    "A header. Its first group is what must be a second; of RFC 5424 there are two more, fraction and offset."
    second: re.Pattern[bytes]
    known: set[bytes]
    "Texts that are seconds."


_KINDS = (
    _Kind(
        re.compile(
            rb"\n" + PRI + b"(.{15}) " + HOST + b" " + TAG + rb"(?:\[" + PID + rb"\]: |" + COLON + b")" + _TEXT
        ),
        re.compile(BSD),
        set(),
    ),
    _Kind(
        re.compile(
            rb"\n" + PRI + b"1 (.{19})(" + FRACTION + b")(" + OFFSET + b") "
            + WORD + b" " + WORD + b"(?<!:) " + WORD + b" " + WORD + b" (?:" + SD + b") " + BOM + _TEXT
        ),
        re.compile(ISO),
        set(),
    ),
)  # fmt: skip
MOST_KNOWN = 20_000
"Seconds of a kind that are remembered: a thousand random clocks must not grow the memory."


class Scattering:
    """Strips whole reads. Remembers how often it has tried in vain."""

    LONGEST_PAUSE = 64
    "Reads that are passed over, at most, after tries in vain."

    def __init__(self) -> None:
        self._pause = 1
        self._passes = 0

    def strip(self, block: bytes) -> Columns | None:
        """Times and texts of a block's frames, or None: then nothing is known of them."""
        if self._passes:
            self._passes -= 1
            return None
        for kind in _KINDS:
            if kind.expression.match(block):
                columns = _stripped(block, kind)
                break
        else:
            columns = None
        if columns is None:
            # Not for us: the next reads are not tried, ever more of them.
            self._passes = self._pause
            self._pause = min(self.LONGEST_PAUSE, 2 * self._pause)
        else:
            self._pause = 1
        return columns


def _stripped(block: bytes, kind: _Kind) -> Columns | None:
    width = kind.expression.groups + 1
    parts = kind.expression.split(block)
    seconds, texts = parts[1::width], parts[width::width]
    count = len(texts)
    # An LF more than headers is a frame of another kind. CPython counts a byte in a plain loop; to delete it is much
    # quicker.
    if len(block) - len(block.replace(b"\n", b"")) != count or not _are_seconds(seconds, kind):
        return None
    none = [b""] * count
    fractions, offsets = (parts[2::width], parts[3::width]) if width > 2 else (none, none)
    return Columns(count, {"second": seconds, "fraction": fractions, "offset": offsets, "text": texts})


def _are_seconds(texts: Sequence[bytes], kind: _Kind) -> bool:
    if kind.known.issuperset(texts):
        return True
    fresh = set(texts) - kind.known
    if not all(map(kind.second.fullmatch, fresh)) or not are_times(list(fresh)):
        return False
    if len(kind.known) + len(fresh) > MOST_KNOWN:
        kind.known.clear()
    kind.known.update(fresh)
    return True
