"""Computes a cluster node's terms from a configuration."""

from bridge.cluster.terms import ClusterTerms
from bridge.config import SharedBacklog


def cluster_terms(share: SharedBacklog, *, node: str = "") -> ClusterTerms:
    """Returns the brokers, queues and limits of a shared backlog for the node with this name."""
    after = share.alone_after
    return ClusterTerms(
        urls=share.amqp, prefix=share.queue_prefix, role=share.role, exit=share.exit, max_bytes=share.max_bytes,
        prefetch=share.prefetch, alone_after=None if after is None else after.total_seconds(), node=node,
    )  # fmt: skip
