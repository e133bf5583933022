"""Defines the settings of a node that shares its backlog."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterTerms:
    """Settings of a node that shares its backlog."""

    urls: tuple[str, ...]
    prefix: str
    role: str
    exit: str
    "Name of the source address that the collector sees. Couriers of one exit share the request rate."
    max_bytes: int
    prefetch: int
    "Limit of the bytes of taken-over batches that this node holds in memory."
    alone_after: float | None
    "Seconds without a usable broker after which the node delivers directly; None: never."
    node: str = ""
    "Name of this node among all nodes; empty if it publishes nothing."

    @property
    def publishes(self) -> bool:
        """True if this node publishes the events that it receives to the queues."""
        return self.role != "courier"

    @property
    def consumes(self) -> bool:
        """True if this node delivers batches from the queues."""
        return self.role != "gateway"

    def queue_of(self, intake: str) -> str:
        """Returns the name of an intake's queue."""
        return f"{self.prefix}.{intake}"

    @property
    def presence(self) -> str:
        """Name of the queue by which the couriers of this exit are counted."""
        return f"{self.prefix}:couriers:{self.exit}"
