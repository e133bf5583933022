"""Samples the last frame of a read about once per second and sender: message shape, clock offset, and the message."""

import re

from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.peers import Peer
from bridge.syslog import parser
from bridge.syslog.frames import Frames, list_of
from bridge.syslog.timestamps import TimeReader, fraction_ms, zone_of

_YEAR = re.compile(rb"[0-9]{4}")
"A year in a timestamp's text, or seconds since 1970, which imply the year."


def sample(peer: Peer, frames: Frames, now: int, *, reader: TimeReader, message_samples: MessageSamples) -> None:
    """Samples the last frame of a read that ``Peer.note_read`` has asked for."""
    peer.measure(now)
    frame = frames.rpartition(b"\n")[2] if isinstance(frames, bytes) else (list_of(frames) or [b""])[-1]
    if not frame:
        return
    message_samples.note(peer, frame, now)
    parts = parser.read(frame[:512])
    peer.note_shape(parts.shape)
    if parts.second and (zone := peer.profile.rules[0].disposition.zone) is not None:
        ms = reader.second_ms(parts.second, parts.offset, zone, now)
        if ms is not None:
            peer.source_clock().note(
                (ms + fraction_ms(parts.fraction) - now) / 1000, now_ms=now, zone=zone,
                has_zone=_names_zone(parts.second, parts.offset), has_year=_YEAR.search(parts.second) is not None,
            )  # fmt: skip


def _names_zone(second: bytes, offset: bytes) -> bool:
    """Returns True if a timestamp means the same instant in every zone. An unknown zone name does not count."""
    return second.isdigit() or (bool(offset) and zone_of(offset) is not None)
