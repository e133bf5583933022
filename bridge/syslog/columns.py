"""Defines what a read is parsed into: columns, or a block of texts if nothing but time and text is needed."""

from collections.abc import Sequence
from operator import itemgetter
from typing import ClassVar

Column = Sequence[bytes]

FIELDS = (
    "raw", "device", "priority", "second", "fraction", "offset", "hostname", "content", "app_name", "procid", "msgid",
    "structured_data", "msg", "text", "auto",
)  # fmt: skip
"""Names of all columns. ``raw`` is the frame, ``text`` is MSG from its first non-blank, ``auto`` is the text, with
MSGID and structured data if they are a vendor's (``structured_data``). The others are fields of ``grammar.Header``."""

TIME = ("second", "fraction", "offset")
ALWAYS = frozenset(TIME)
"Columns that every read has, or ``stamp`` in their place."
TEXT = ALWAYS | {"text"}
"Columns of a read of times and texts."
AUTO = TEXT | {"auto"}
"Columns of a read whose result may be a ``TextBlock`` with any times."

NO_STAMP = b"\t\t"
"The stamp of a frame without a time."
_SECOND_OF_STAMP = itemgetter(slice(-len(b"Nov 23 07:24:00"), None))


TimeColumns = tuple[Column, Column, Column]
"""Seconds, fractions and offsets of a read, for ``TimeReader``. A PRI may precede a second. A second may be a stamp:
its fraction and offset follow after TABs, and the other two columns are blank."""


def stamp_of(second: bytes, fraction: bytes, offset: bytes) -> bytes:
    """Returns a time as a stamp: in one text, with at most three digits of the fraction."""
    return b"\t".join((second, fraction[:4], offset))


class Columns:
    """The frames of one read as columns of ``count`` rows each. Columns that were not requested are missing.

    The column ``stamp`` may replace the columns of the time: second, fraction (to milliseconds) and offset in one text,
    separated by TABs. Equal times are then equal texts, so each is converted once.
    """

    __slots__ = ("blank", "count", "fields", "holds_lf", "keyed")

    def __init__(
        self, count: int, fields: dict[str, Column], blank: dict[int, bytes] | None = None, *, holds_lf: bool = False,
        keyed: int = 0,
    ) -> None:  # fmt: skip
        self.count = count
        self.fields = fields
        self.keyed = keyed
        "Frames of the read from which an intake key was removed (``syslog.intake_key``)."
        self.holds_lf = holds_lf
        "True if a frame may contain a line end."
        self.blank = blank or {}
        "Row -> frame, for rows whose MSG is blank: a payload made from MSG alone would be empty."

    def __getitem__(self, name: str) -> Column:
        return self.fields[name]

    def rows(self) -> "Columns":
        """Returns the columns themselves."""
        return self

    def times(self) -> TimeColumns:
        """Returns the columns of the times."""
        if "stamp" in self.fields:
            blank = [b""] * self.count
            return self.fields["stamp"], blank, blank
        return self.fields["second"], self.fields["fraction"], self.fields["offset"]

    def take(self, rows: Sequence[int]) -> "Columns":
        """Returns the columns of the given rows, in their order."""
        fields: dict[str, Column] = {name: [column[i] for i in rows] for name, column in self.fields.items()}
        blank = {new: self.blank[old] for new, old in enumerate(rows) if old in self.blank} if self.blank else None
        return Columns(len(rows), fields, blank, holds_lf=self.holds_lf)


class TextBlock:
    """The times and texts of a read, without an object per row where possible. No text is empty or contains an LF.

    The texts are the column ``text`` or ``auto``, whichever was requested. Both are the same in RFC 3164.
    """

    __slots__ = ("count",)

    count: int
    keyed: ClassVar[int] = 0
    "As in ``Columns``. A read with intake keys is never a block."

    def times(self) -> TimeColumns:
        """Returns the time of each row."""
        raise NotImplementedError

    def texts(self) -> Column:
        """Returns the text of each row."""
        raise NotImplementedError

    def rows(self) -> Columns:
        """Returns the columns of the times and of the texts."""
        return self._columns(*self.times())

    def _columns(self, seconds: Column, fractions: Column, offsets: Column) -> Columns:
        texts = self.texts()
        fields = {"second": seconds, "fraction": fractions, "offset": offsets, "text": texts, "auto": texts}
        return Columns(self.count, fields)


class SameSecond(TextBlock):
    """The texts of a read whose frames share one second."""

    __slots__ = ("column", "fractions", "lines", "offset", "second")

    def __init__(
        self, lines: bytes, count: int, second: bytes, offset: bytes = b"", fractions: Column = (), column: str = "text"
    ) -> None:  # fmt: skip
        self.count = count
        self.lines = lines
        "Each text, followed by an LF."
        self.second = second
        self.offset = offset
        self.fractions = fractions
        "One per row, or none at all."
        self.column = column
        "The column that the texts are. ``text`` stands for ``auto`` as well."

    def times(self) -> TimeColumns:
        count = self.count
        return [self.second] * count, self.fractions or [b""] * count, [self.offset] * count

    def texts(self) -> Column:
        return self.lines[:-1].split(b"\n")

    def rows(self) -> Columns:
        columns = super().rows()
        return Columns(self.count, {**columns.fields, self.column: columns["text"]})


class Stamped(TextBlock):
    """The texts of a read, each after the PRI and the second of its RFC 3164 header."""

    __slots__ = ("interleaved",)

    def __init__(self, interleaved: list[bytes]) -> None:
        self.count = len(interleaved) // 2
        self.interleaved = interleaved
        "An empty item, then stamp and text of each row in turn."

    def times(self) -> TimeColumns:
        empty = [b""] * self.count
        return self.interleaved[1::2], empty, empty

    def texts(self) -> Column:
        return self.interleaved[2::2]

    def rows(self) -> Columns:
        stamps, fractions, offsets = self.times()
        return self._columns(list(map(_SECOND_OF_STAMP, stamps)), fractions, offsets)
