"""Facilities and severities by name (RFC 5424 section 6.2.1)."""

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def named(priority: int) -> str:
    """``daemon.info`` for 30."""
    return f"{FACILITIES[priority >> 3]}.{SEVERITIES[priority & 7]}"


def number(text: str, names: tuple[str, ...]) -> int:
    """The number of a facility or severity that is given by name or number. Raises ValueError with what is possible."""
    if text.lower() in names:
        return names.index(text.lower())
    if text.isascii() and text.isdigit() and int(text) < len(names):
        return int(text)
    raise ValueError(f"'{text}' is none of {', '.join(names)}, nor a number from 0 to {len(names) - 1}")
