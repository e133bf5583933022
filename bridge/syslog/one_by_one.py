"""Parses the frames of a read one by one with the reference parser, where no fast reader can."""

from collections.abc import Iterable

from bridge.syslog import parser
from bridge.syslog.columns import FIELDS, Columns
from bridge.syslog.frames import BLANK
from bridge.syslog.structured_data import auto_text


def parse_each(frames: Iterable[bytes], needs: frozenset[str], *, holds_lf: bool = False) -> Columns:
    """Parses frames into the columns ``needs``, which include the times. Blank frames make no row."""
    fields: dict[str, list[bytes]] = {name: [] for name in FIELDS if name in needs}
    blank: dict[int, bytes] = {}
    for frame in frames:
        if not frame.strip(BLANK):
            continue
        parts = parser.read(frame)
        text = parts.msg.lstrip(b" \t")
        if not text:
            blank[len(fields["second"])] = frame
        for name, column in fields.items():
            if name == "auto":
                column.append(auto_text(parts.msgid, parts.structured_data, text))
            elif name == "raw":
                column.append(frame)
            else:
                column.append(text if name == "text" else getattr(parts, name))
    return Columns(len(fields["second"]), dict(fields), blank, holds_lf=holds_lf)
