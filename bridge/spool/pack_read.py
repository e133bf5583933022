"""Defines the result of a read of a pack: its next batches, and the parts that cannot be read."""

from dataclasses import dataclass, field

from bridge.spool.batch import Batch


@dataclass(frozen=True, slots=True)
class Loss:
    """A part of a pack that cannot be read."""

    what: str
    events: int
    "Number of lost events. 0: not known yet; events that are missing at the end of the pack are counted then."
    size: int
    data: bytes
    "The damaged bytes, or the first part of them."
    positions: tuple[int, int] | None = None
    "First and last lost position, if this loss counts their events."


@dataclass(slots=True)
class Fed:
    """The next batches of a pack, with their lines in memory."""

    batches: list[Batch] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    exhausted: bool = False
    stuck: OSError | None = None
    "Set at the end of the pack if blocks were skipped: why they cannot be read, or their bytes not be kept."
    next: int = 0
    "The sequence at which the next read continues, as far as it is known."
