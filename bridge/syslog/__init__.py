"""Bytes in, values out: framing (RFC 6587, 5426), headers (RFC 5424, 3164) and their times.

Pure: no socket, clock, file or reactor. ``parse`` reads one frame for tools and tests; ``columns.parse_all`` reads all
frames of one socket read, and a property test holds the two equal.
"""

from bridge.syslog.message import Message, parse

__all__ = ["Message", "parse"]
