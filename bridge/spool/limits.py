"""Defines the limits of a spool."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The limits at which a batch is sealed."""

    max_age: float = 2.0
    "Seconds."
    max_events: int = 20_000
    max_bytes: int = 5_000_000
    resolution_ms: int = 1000
    max_slots: int = 64
    "Maximum open slots of one intake; further events go to one file whose lines carry their own time (*timed*)."


@dataclass(frozen=True, slots=True)
class SpoolTerms:
    """The limits of a spool."""

    batches: BatchLimits
    quarantine: Mapping[str, int]
    "Bytes by reason."
    cache: int = 0
    "Bytes of appended lines that are cached until they are first read."
