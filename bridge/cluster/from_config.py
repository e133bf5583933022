"""Computes a cluster node's terms from a configuration."""

from bridge.cluster.node import Terms
from bridge.config import SharedBacklog


def fleet(share: SharedBacklog) -> Terms:
    """Returns the broker, queues and limits of a shared backlog."""
    after = share.alone_after
    return Terms(
        urls=share.amqp, prefix=share.queue_prefix, role=share.role, exit=share.exit, max_bytes=share.max_bytes,
        prefetch=share.prefetch, alone_after=None if after is None else after.total_seconds(),
    )  # fmt: skip
