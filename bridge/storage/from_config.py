"""Computes the limits of batches, quarantine and disk budget from a configuration."""

from bridge.config import Config
from bridge.config.units import milliseconds
from bridge.spool import BatchLimits
from bridge.spool.budget import BudgetTerms
from bridge.spool.quarantine import REASONS


def batch_limits(config: Config) -> BatchLimits:
    """Returns when a batch is sealed."""
    batch = config.batch
    return BatchLimits(
        max_age=batch.max_age.total_seconds(),
        max_events=batch.max_events,
        max_bytes=batch.max_bytes,
        resolution_ms=milliseconds(batch.timestamp_resolution),
    )


def seal_every(config: Config) -> float:
    """Returns the seconds between two searches for batches that are due to be sealed."""
    return min(0.25, config.batch.max_age.total_seconds() / 4)


def quarantine_bounds(config: Config) -> dict[str, int]:
    """Returns the bytes that quarantine may hold by reason: equal shares; ``unrouted`` may have its own limit."""
    bounds = dict.fromkeys(REASONS, config.spool.quarantine.max_size // len(REASONS))
    if config.unrouted.kind == "hold":
        bounds["unrouted"] = config.unrouted.limits.max_size
    return bounds


def quarantine_age(config: Config, reason: str) -> float | None:
    """Returns the seconds that frames of a reason are held; None: until they are purged."""
    hold = config.unrouted.limits if reason == "unrouted" else config.spool.quarantine
    return None if hold.max_age is None else hold.max_age.total_seconds()


def budget_terms(config: Config) -> BudgetTerms:
    """Returns how much the spool may hold."""
    return BudgetTerms(config.spool.max_size, config.spool.min_free, pause=config.spool.when_full == "pause")
