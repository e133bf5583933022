"""Names the settings for which messages are examined one by one, instead of a whole socket read at once."""

from collections.abc import Iterator, Sequence

from bridge.config import Config

_SHOWN = 5
"Names in one text."


def cost_notes(config: Config) -> Iterator[str]:
    """Yields a text for each kind of setting that costs processor time for each message of the senders concerned.

    The times were measured on 3 GHz processors.
    """
    conditions = [(route.name, [route, *filter(None, [route.except_])]) for route in config.routes]
    matching = [name for name, each in conditions if any(one.message and one.message.matches for one in each)]
    searching = [name for name, each in conditions if any(one.message for one in each) and name not in matching]
    expressions = [entry.name for entry in config.redact if entry.regex is not None]
    if matching:
        yield f"{_listed('route', matching)}: message: matches examines each message of these senders, about 3 µs each"
    if searching:
        yield f"{_listed('route', searching)}: message: examines each message of these senders, about 2 µs each"
    if expressions:
        yield f"{_listed('redact rule', expressions)}: regex examines each message of these senders, about 3 µs each"


def _listed(what: str, names: Sequence[str]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(names[:_SHOWN])}{rest}"
