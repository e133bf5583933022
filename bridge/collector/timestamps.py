"""Checks the event timestamps that senders give, without changing their text."""

import re
from datetime import UTC, datetime

from bridge.collector.refusal import Refusal

# RFC 3339 section 5.6: date-time = full-date "T" full-time; T and Z may be lower case, and its note allows a space.
_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def checked_timestamp(value: object, name: str) -> str:
    """Returns the text if it is a date and time of RFC 3339. ``name``: the header or field, for the error text.

    Raises Refusal (400) if it is not.
    """
    found = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Refusal(400, f"{name} must be a date and time of RFC 3339, such as 2026-11-23T07:24:00.250Z")
    year, month, day, hour, minute, second = (int(part) for part in found.groups())
    try:
        # Second 60 is a leap second (section 5.7), which datetime does not support.
        datetime(year, month, day, hour, minute, 59 if second == 60 else second, tzinfo=UTC)
    except ValueError as error:
        raise Refusal(400, f"{name} is not a valid date and time: {error}") from None
    return found[0]
