"""Formats durations and sizes for the operator."""


def span(seconds: float) -> str:
    """Formats a duration in at most two units, such as ``12 s``, ``9 h`` and ``2 d 3 h``."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = round(whole / 3600)
    if hours < 48:
        return f"{hours} h"
    days, rest = divmod(hours, 24)
    return f"{days} d {rest} h" if rest and days < 10 else f"{days:,} d"


def size(count: float) -> str:
    """Formats a number of bytes, such as ``1.5 MB``."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{count:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"
