"""The fast reading: all frames of one socket read at once, as columns.

Row *i* of every column is frame *i*. Only the columns that routes and payloads need are captured. Two expressions, one
per RFC, each run once over the whole read; every frame begins with an LF there, so that the expression finds each of
them by one literal byte and a frame that it does not know lands whole in the last group. Those rows, and reads that
hold frames with a line end inside, go through the careful reading in ``header``. A property test holds both equal.

The expressions accept less than the careful rules do (plain host names, plain tags, a blank after the colon): what
they accept means the same to both. Where the first frame of a read is neither, but of a vendor whose frames fill whole
reads, an expression of ``vendors`` takes their place.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from bridge.syslog import parser
from bridge.syslog.fast import vendor_patterns
from bridge.syslog.fast.plain_patterns import (
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
)
from bridge.syslog.frames import Frames, list_of

Column = Sequence[bytes]

FIELDS = (
    "raw", "device", "priority", "second", "fraction", "offset", "hostname", "content", "app_name", "procid", "msgid",
    "structured_data", "msg", "text", "format",
)  # fmt: skip
"""All columns there are. ``text`` is MSG from its first non-blank; the others are ``header.Header``'s."""

ALWAYS = frozenset(("second", "fraction", "offset"))


class TimedLines(NamedTuple):
    """Times and texts of a read as one."""

    lines: bytes
    "Of each row its milliseconds since the epoch, a TAB, its text, an LF."
    earliest: int
    "Of its times."
    latest: int

    def times(self) -> list[int]:
        """Of each row, in milliseconds."""
        return [int(line.partition(b"\t")[0]) for line in self.lines[:-1].split(b"\n")]

    def texts(self) -> list[bytes]:
        """Of each row."""
        return [line.partition(b"\t")[2] for line in self.lines[:-1].split(b"\n")]


class Columns:
    """The frames of one read, column by column. ``count`` rows; a column that was not asked for is missing."""

    __slots__ = ("blank", "count", "fields", "holds_lf", "lines", "stamps", "timed", "woven")

    def __init__(
        self, count: int, fields: dict[str, Column], blank: dict[int, bytes] | None = None, *, holds_lf: bool = False
    ) -> None:
        self.count = count
        self.fields = fields
        self.holds_lf = holds_lf
        "Whether a frame may hold a line end inside."
        self.blank = blank or {}
        "Row -> frame, where MSG shows nothing: a payload made of it alone would be empty."
        self.lines: bytes | None = None
        "The column ``text`` as one, each row ended by an LF, where it was read so."
        self.woven: list[bytes] | None = None
        "Behind one that is empty, of each row its stamp and its text, where it was read so."
        self.stamps: Column | None = None
        "PRI and second (RFC 3164) of each row of a woven read."
        self.timed: TimedLines | None = None
        "Times and texts as one, where it was read so."

    @classmethod
    def of_texts(
        cls, lines: bytes, count: int, second: bytes, offset: bytes = b"", fractions: Column | None = None
    ) -> "Columns":
        """A read of which only the texts are known, all of one second; they are cut apart when they are asked for."""
        fields: dict[str, Column] = {"second": [second] * count, "offset": [offset] * count}
        fields["fraction"] = fractions or [b""] * count
        columns = cls(count, fields)
        columns.lines = lines
        return columns

    @classmethod
    def of_woven(cls, woven: list[bytes]) -> "Columns":
        """A read of which only stamps and texts are known; see ``woven``."""
        count = len(woven) // 2
        none = [b""] * count
        columns = cls(count, {"offset": none, "fraction": none})
        columns.woven, columns.stamps = woven, woven[1::2]
        return columns

    @classmethod
    def of_timed(cls, lines: bytes, count: int, earliest: int, latest: int) -> "Columns":
        """A read of which only times and texts are known, as lines."""
        columns = cls(count, {})
        columns.timed = TimedLines(lines, earliest, latest)
        return columns

    def __getitem__(self, name: str) -> Column:
        if name not in self.fields and (column := self._cut_apart(name)) is not None:
            self.fields[name] = column
        return self.fields[name]

    def _cut_apart(self, name: str) -> Column | None:
        """A column of what was read as one."""
        if name == "second" and self.stamps is not None:
            return [stamp.rpartition(b">")[2] for stamp in self.stamps]
        if name != "text":
            return None
        if self.lines is not None:
            return self.lines[:-1].split(b"\n")
        if self.woven is not None:
            return self.woven[2::2]
        return self.timed.texts() if self.timed is not None else None

    def take(self, rows: Sequence[int]) -> "Columns":
        """The columns of some rows, in their order."""
        fields: dict[str, Column] = {name: [column[i] for i in rows] for name, column in self.fields.items()}
        blank = {new: self.blank[old] for new, old in enumerate(rows) if old in self.blank} if self.blank else None
        return Columns(len(rows), fields, blank, holds_lf=self.holds_lf)


def parse_all(frames: Frames, needs: frozenset[str]) -> Columns:
    """Read all frames. Frames of nothing but blanks, NUL and line ends are none and make no row."""
    needs = needs | ALWAYS
    if isinstance(frames, list):
        columns = _of_headers(frames, needs)
        columns.holds_lf = True
        return columns
    plan = _plan("rfc5424" if _looks_like_5424(frames) else "rfc3164", needs)
    rows = plan.expression.findall(frames)
    if not rows:
        return _of_headers((), needs)
    # The last group is what the expression does not know.
    if rows[0][-1] and (kind := vendor_patterns.kind_of(rows[0][-1])):
        plan = _plan(kind, needs)
        rows = plan.expression.findall(frames)
    groups = list(zip(*rows, strict=True))
    strange = groups.pop()
    fields: dict[str, Column] = dict(zip(plan.names, groups, strict=True))
    if "date" in fields:
        fields["second"] = [date and date + b" " + clock for date, clock in zip(*map(fields.pop, _DATE), strict=True)]
    if "second" in fields and not are_times(fields["second"]):
        return _of_headers(list_of(frames), needs)
    if "format" in needs:
        fields["format"] = [plan.format] * len(rows)
    for name in plan.absent:
        fields[name] = [b""] * len(rows)
    if plan.format == b"rfc5424":
        _nil(fields)
        if "content" in needs:
            fields["content"] = _content(fields)
    return _mixed(fields, strange, needs) if any(strange) else Columns(len(rows), fields)


class _Plan:
    """One expression: which group is which column."""

    __slots__ = ("absent", "expression", "format", "names")

    def __init__(self, fmt: bytes, pattern: bytes, names: tuple[str, ...], absent: Iterable[str]) -> None:
        self.format = fmt
        # The last group takes what the grammar does not: a frame is never skipped, whatever it is.
        self.expression = re.compile(rb"\n(?:" + pattern + rb"|(.++))")
        self.names = names
        self.absent = tuple(absent)


# FortiGate tells the second in two.
_DATE = ("date", "clock")


@cache
def _plan(kind: str, needs: frozenset[str]) -> _Plan:
    names: list[str] = []
    asked = needs
    if kind == "fortinet":
        needs |= {*_DATE}
    if kind == "rfc5424" and "content" in needs:
        needs |= {"app_name", "procid", "msg"}

    def group(name: str, pattern: bytes) -> bytes:
        if name not in needs:
            return b"(?:" + pattern + b")"
        names.append(name)
        return b"(" + pattern + b")"

    # Nested groups are numbered by their opening, so the outer are opened here and closed at the end of the frame.
    def opening(name: str) -> bytes:
        if name not in needs:
            return b"(?:"
        names.append(name)
        return b"("

    pattern = opening("raw") + (b"<" + group("priority", parser.PRIVAL) + b">" if "priority" in needs else PRI)
    if kind == "rfc5424":
        pattern += opening("device") + b"1 "
        pattern += group("second", ISO) + group("fraction", FRACTION) + group("offset", OFFSET) + b" "
        for name in ("hostname", "app_name", "procid", "msgid"):
            # An app-name that ends with a colon may be RFC 3164's tag.
            pattern += group(name, WORD) + (b"(?<!:) " if name == "app_name" else b" ")
        pattern += group("structured_data", SD) + b" " + BOM
        pattern += opening("msg") + rb"[ \t]*+" + group("text", rb".++") + b")))"
    elif kind == "rfc3164":
        pattern += opening("device") + group("second", BSD + b"|" + ISO) + group("fraction", FRACTION)
        pattern += group("offset", b"(?:" + OFFSET + b")?") + b" "
        pattern += group("hostname", HOST) + b" "
        pattern += (
            opening("content") + group("app_name", TAG) + rb"(?:\[" + group("procid", PID) + rb"\]: |" + COLON + b")"
        )
        pattern += opening("msg") + rb"[ \t]*+" + group("text", rb".++") + b"))))"
    else:
        pattern += vendor_patterns.pattern(kind, group, opening) + b")"
    absent = (
        asked - {*names, "format"} - ({"second"} if kind == "fortinet" else {"content"} if kind == "rfc5424" else set())
    )
    return _Plan({"rfc5424": b"rfc5424", "fortinet": b"none"}.get(kind, b"rfc3164"), pattern, tuple(names), absent)


def _looks_like_5424(block: bytes) -> bool:
    end = block.find(b">", 1, 6)
    return block[end + 1 : end + 3] == b"1 "


def are_times(seconds: Column) -> bool:
    """Whether every text is a time in some year; ``b""`` stands in rows that the expression does not know.

    The expressions cannot count the days of a month, so ``Feb 30`` gets here; its frame has no header.
    """
    first = seconds[0]
    if seconds.count(first) == len(seconds):
        return not first or _is_time(first)
    return all(map(_is_time, filter(None, set(seconds))))


@lru_cache(maxsize=20_000)
def _is_time(second: bytes) -> bool:
    return parser.is_time(second, b"")


def _nil(fields: dict[str, Column]) -> None:
    """RFC 5424's NILVALUE is an absent field."""
    for name in ("hostname", "app_name", "procid", "msgid", "structured_data"):
        column = fields.get(name)
        if column is not None and b"-" in column:
            fields[name] = [b"" if value == b"-" else value for value in column]


def _content(fields: dict[str, Column]) -> list[bytes]:
    return [
        parser.content_5424(app_name, procid, msg)
        for app_name, procid, msg in zip(fields["app_name"], fields["procid"], fields["msg"], strict=True)
    ]


def _mixed(known: dict[str, Column], strange: Column, needs: frozenset[str]) -> Columns:
    """A read in which some frames are not of the expression's kind: those rows are read again, one by one."""
    names = [name for name in FIELDS if name in needs]
    fields: dict[str, list[bytes]] = {name: [] for name in names}
    blank: dict[int, bytes] = {}
    for i, frame in enumerate(strange):
        if not frame:
            for name in names:
                fields[name].append(known[name][i])
        else:
            append_careful(fields, blank, frame)
    return Columns(len(fields["second"]), dict(fields), blank)


def careful(block: bytes, needs: frozenset[str]) -> Columns:
    """A block read frame by frame."""
    return _of_headers(list_of(block), needs)


def _of_headers(frames: Iterable[bytes], needs: frozenset[str]) -> Columns:
    fields: dict[str, list[bytes]] = {name: [] for name in FIELDS if name in needs}
    blank: dict[int, bytes] = {}
    for frame in frames:
        append_careful(fields, blank, frame)
    return Columns(len(fields["second"]), dict(fields), blank)


def append_careful(fields: dict[str, list[bytes]], blank: dict[int, bytes], frame: bytes) -> None:
    """One more row, by the careful reading."""
    if not frame.strip(b" \t\r\n\0"):
        return
    parts = parser.read(frame)
    if not parts.msg.strip(b" \t"):
        blank[len(fields["second"])] = frame
    for name, column in fields.items():
        if name == "raw":
            column.append(frame)
        elif name == "text":
            column.append(parts.msg.lstrip(b" \t"))
        elif name == "format":
            column.append(parts.format.encode())
        else:
            column.append(getattr(parts, name))
