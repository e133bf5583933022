"""Parses the body of a request at once, as the collector does over several reactor turns."""

from __future__ import annotations

from bridge.collector.delivery import EventLines
from bridge.collector.formats import Envelope, Parsed, Parser, sift
from bridge.collector.request_queue import UNPACED


def parsed(parser: Parser, body: bytes, envelope: Envelope) -> Parsed:
    """Returns the accepted and the refused events. Raises Refusal."""
    found = parser(body, envelope)
    if isinstance(found, EventLines):
        return Parsed(found, [])
    sifting = sift(found, UNPACED)
    try:
        sifting.send(None)
    except StopIteration as done:
        result: Parsed = done.value
        return result
    raise AssertionError("the parser waits")
