"""Defines the receipt of an accepted request."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """The events that the collector accepted with one request."""

    intake: str
    batches: Sequence[tuple[int, int, int]]
    "For each batch: its sequence, the events settled by this request (without refused ones), all its events."
    count: int
    "Accepted events. Fewer than the events of the batches if the collector accepted a part without naming it."
    sha256: str
    "SHA-256 of the body before compression, in hex."
    status: int
    first_id: str | None
    last_id: str | None
    confirmed: bool
    "True if the response named the events."
    taken: bool = False
    "True if the batches came from the shared backlog queue: their sequences are those of other nodes."
