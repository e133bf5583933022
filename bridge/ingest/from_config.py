"""Computes the pipeline's values from a configuration."""

from collections.abc import Callable

from bridge.batching import GroupLimits, Window
from bridge.config import Config, MirrorTarget
from bridge.config.redact_section import RedactEntry
from bridge.config.units import milliseconds
from bridge.redaction.patterns import PATTERNS
from bridge.redaction.redactor import RedactionRule
from bridge.routing import Router, SourceRules, TextRules


def router(config: Config, on_limit: Callable[[str], None] | None = None) -> Router:
    """Compiles the routes and the rules of ``redact:``. See ``TextRules`` for ``on_limit``."""
    return Router(
        routes=config.routes,
        intakes=config.intakes,
        listeners={listener.name: listener.intake for listener in config.listeners},
        sources=config.sources,
        unrouted=config.unrouted,
        timezone=config.timezone,
        text_rules=TextRules([SourceRules(entry.source, _rules(entry)) for entry in config.redact], on_limit),
    )


def _rules(entry: RedactEntry) -> list[RedactionRule]:
    if entry.regex is not None:
        return [RedactionRule(entry.name, entry.regex, entry.replacement)]
    return [RedactionRule(entry.name or name, PATTERNS[name], entry.replacement) for name in entry.pattern]


def mirror_targets(config: Config) -> set[MirrorTarget]:
    """Returns every target that some route mirrors its frames to."""
    return {target for route in config.routes for target in route.mirror_to}


def group_limits(config: Config, *, clock_is_set: bool = True) -> GroupLimits:
    """Returns how events are grouped by time, and which timestamps are in range. If the gateway's clock was never
    set, every timestamp is in range."""
    past, future = (config.timestamps.max_past, config.timestamps.max_future) if clock_is_set else (None, None)
    return GroupLimits(
        resolution_ms=milliseconds(config.batch.timestamp_resolution),
        window=Window(None if past is None else milliseconds(past), None if future is None else milliseconds(future)),
    )
