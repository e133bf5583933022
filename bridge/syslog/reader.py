"""Parses the frames of one socket read. This is the only entry to the strategies in ``fast``, which are private.

Every strategy gives exactly what the reference parser gives, or leaves the read to the next one. Property tests assert
that. The order is that of their speed:

1. headers of one layout and one second, if one column is needed: ``fast.single_second``
2. plain headers of RFC 3164 with different seconds: ``fast.many_seconds``
3. frames of any kind: ``fast.mixed_formats``
4. frames with line ends, and any frames without PCRE2: ``one_by_one``
"""

from bridge.syslog.columns import ALWAYS, AUTO, Columns, TextBlock
from bridge.syslog.fast.many_seconds import ManySeconds
from bridge.syslog.fast.mixed_formats import read_mixed
from bridge.syslog.fast.retry_pause import RetryPause
from bridge.syslog.fast.single_second import SingleSecond
from bridge.syslog.frames import Frames
from bridge.syslog.intake_key import count_keyed, has_key, with_original, without_keys
from bridge.syslog.one_by_one import parse_each
from bridge.util import pcre2


class Reader:
    """Reads the frames of one connection, or of several peers that are read together.

    A reader remembers which strategy fits its reads. Frames of one sender are usually of one kind.
    """

    def __init__(self) -> None:
        self._single_second = SingleSecond()
        self._many_seconds = ManySeconds()
        self._layouts_pause = RetryPause()

    def read(self, frames: Frames, fields: frozenset[str]) -> Columns | TextBlock:
        """Parses the frames of one read into the columns ``fields`` and the times.

        Frames of blanks, NUL and line ends only make no row. Intake keys are removed from all columns but ``raw``.
        """
        if has_key(frames):
            return _keyed(frames, self._parse(without_keys(frames), fields).rows())
        return self._parse(frames, fields)

    def _parse(self, frames: Frames, fields: frozenset[str]) -> Columns | TextBlock:
        if isinstance(frames, bytes):
            # The texts of a block are one column.
            wanted = fields - ALWAYS
            block: TextBlock | None = None
            if len(wanted) < 2:
                block = self._single_second.read(frames, next(iter(wanted), "text"))
            if block is None and wanted <= AUTO:
                block = self._many_seconds.read(frames)
            if block is not None:
                return block
        return parse_rows(frames, fields | ALWAYS, self._layouts_pause)


def read_columns(frames: Frames, fields: frozenset[str]) -> Columns:
    """Parses the frames of one read into columns, as ``Reader.read`` does, without a memory of earlier reads."""
    if has_key(frames):
        return _keyed(frames, parse_rows(without_keys(frames), fields | ALWAYS))
    return parse_rows(frames, fields | ALWAYS)


def parse_rows(frames: Frames, needs: frozenset[str], pause: RetryPause | None = None) -> Columns:
    """Parses the frames of one read into columns, and leaves intake keys in them. ``pause``: see ``read_mixed``."""
    if isinstance(frames, list):
        return parse_each(frames, needs, holds_lf=True)
    return read_mixed(frames, needs, pause)


def _keyed(frames: Frames, found: Columns) -> Columns:
    """Returns the columns of a read whose keys were removed, with the original frames in ``raw``."""
    fields = found.fields
    if "raw" in fields:
        fields = {**fields, "raw": with_original(fields["raw"], frames)}
    return Columns(found.count, fields, found.blank, holds_lf=found.holds_lf, keyed=count_keyed(frames))


def uses_pcre2() -> bool:
    """Returns True if the system has the PCRE2 library, without which parsing takes several times as long."""
    return pcre2.load() is not None
