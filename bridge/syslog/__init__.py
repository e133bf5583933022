"""Parses syslog: framing (RFC 6587, RFC 5426), headers (RFC 5424, RFC 3164) and timestamps.

The package is pure: it takes bytes and returns values, and uses no socket, clock, file or reactor. ``parse`` reads one
frame, for tools and tests. ``reader.Reader`` reads all frames of one socket read. Property tests assert that both give
the same result.
"""

from bridge.syslog.message import Message, parse

__all__ = ["Message", "parse"]
