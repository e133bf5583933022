"""Defines the settings and the name of a node that shares its backlog."""

import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bridge.config import ClusterSection
from bridge.spool import SpoolError
from bridge.util.files import write_replacing

NAME_FILE = ".node"
"File in the spool that holds the random part of the name. Batch sequences are unique only within one spool."


@dataclass(frozen=True, slots=True)
class ClusterTerms:
    """Settings of a node that shares its backlog."""

    urls: tuple[str, ...]
    prefix: str
    role: str
    egress_group: str
    "Name of the source address that the collector sees. Couriers of one group share the request rate."
    max_bytes: int
    prefetch: int
    "Limit of the bytes of taken-over batches that this node holds in memory."
    fallback_after: float | None
    "Seconds without a usable broker after which the node delivers directly; None: never."
    node: str = ""
    "Name of this node among all nodes; empty if it publishes nothing."

    @classmethod
    def of(cls, section: ClusterSection, *, node: str = "") -> Self:
        """Returns the settings from the configuration of a shared backlog, for the node with this name."""
        after = section.fallback_after
        return cls(
            urls=section.amqp, prefix=section.queue_prefix, role=section.role, egress_group=section.egress_group,
            max_bytes=section.max_bytes, prefetch=section.prefetch,
            fallback_after=None if after is None else after.total_seconds(), node=node,
        )  # fmt: skip

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
        """Name of the queue by which the couriers of this group are counted."""
        return f"{self.prefix}:couriers:{self.egress_group}"


def node_name(spool: Path) -> str:
    """Returns ``HOST-XXXXXXXX``, as several hosts may have the same name. Creates the random part at the first call.
    Raises SpoolError."""
    file = spool / NAME_FILE
    try:
        mark = file.read_bytes().decode("ascii", "replace").strip() if file.exists() else ""
        if not re.fullmatch("[0-9a-f]{8}", mark):
            # It is missing, or a power cut has damaged it.
            mark = secrets.token_hex(4)
            write_replacing(file, f"{mark}\n".encode(), mode=0o644)
    except OSError as error:
        raise SpoolError(f"{file}: {error.strerror}") from None
    return f"{socket.gethostname()}-{mark}"
