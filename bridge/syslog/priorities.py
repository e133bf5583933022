"""Converts facilities and severities between names and numbers (RFC 5424 section 6.2.1)."""

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def named(priority: int) -> str:
    """Returns the name of a PRI value: ``daemon.info`` for 30."""
    return f"{FACILITIES[priority >> 3]}.{SEVERITIES[priority & 7]}"


def number(text: str, names: tuple[str, ...]) -> int:
    """Returns the number of a facility or severity, given by name or number.

    Raises ValueError, whose text lists the choices.
    """
    if text.lower() in names:
        return names.index(text.lower())
    if text.isascii() and text.isdigit() and int(text) < len(names):
        return int(text)
    raise ValueError(f"unknown value '{text}': use one of {', '.join(names)}, or a number from 0 to {len(names) - 1}")
