"""Defines a finding: what is known of one sender, or of one host behind a relay, and what is to be done with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.discover.clock_evidence import ClockEvidence
from bridge.discover.observer import SampleOrigin
from bridge.explain.products import Identification

FEW = 20
"Number of messages below which a finding is marked as one of few messages."
DAY = 86_400.0
"Seconds that must have been watched before a silence limit is proposed."


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderFinding:
    """Describes one sender. ``route`` is False if its messages have to be held."""

    source: str
    "Address of the sender. Empty if the capture has no addresses."
    host: str | None = None
    "Name in the header, if the sender is a relay or has no address. Routes name it."
    identified: Identification
    route: bool
    why: str = ""
    "Why it is not routed."
    app_names: Sequence[str] = ()
    "Programs of the header that a route must name, because other messages of the sender are of something else."
    relay: bool = False
    "True if the sender forwards messages of several hosts."
    name: str | None = None
    "Name of the device, from its messages."
    devices: Sequence[str] = ()
    "Names of the hosts behind a relay, or in the text of the messages."
    shapes: Sequence[str] = ()
    transports: Sequence[str] = ()
    count: int
    "Number of messages."
    first: float | None = None
    last: float | None = None
    "Seconds since the epoch."
    longest_gap: float = 0.0
    "Longest silence, in seconds."
    clock: ClockEvidence
    samples: Sequence[bytes] = field(default=(), repr=False)
    "Messages, as received: some of each shape."
    origins: Sequence[SampleOrigin] = field(default=(), repr=False)
    "The reception of each of them."

    @property
    def few(self) -> bool:
        """True if there are only few messages."""
        return self.count < FEW

    @property
    def seconds(self) -> float:
        """Time from the first to the last message."""
        return 0.0 if self.first is None or self.last is None else self.last - self.first

    @property
    def rate(self) -> float | None:
        """Messages per second. None if the times are not known."""
        return self.count / self.seconds if self.seconds >= 1 else None

    @property
    def silence_limit(self) -> float | None:
        """Seconds of silence after which the sender is likely to be dead. None before a day was watched."""
        if self.seconds < DAY or self.few:
            return None
        # Twice the longest silence of a day or more, so that an ordinary night raises no alarm.
        return max(600.0, 2 * self.longest_gap)

    @property
    def place(self) -> str:
        """Names the sender in texts."""
        if not self.source:
            return f"host {self.host}" if self.host else "messages without a host"
        return f"{self.source}, host {self.host}" if self.host else self.source
