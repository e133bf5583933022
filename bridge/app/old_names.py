"""Logs that a configuration uses old names of keys, which a later version rejects."""

from twisted.logger import Logger

from bridge.config import Config
from bridge.util.counts import counted, verb

log = Logger(namespace="app")


def warn_about_old_names(config: Config) -> None:
    """Logs one warning, whatever the number of old names."""
    if not config.old_names:
        return
    others = len(config.old_names) - 1
    log.warn(
        '{first}{others} Run "syslog-bridge config migrate --in-place {file}" to replace the old names.',
        first=config.old_names[0], file=config.files[0],
        others=f" {counted(others, 'more key')} {verb(others, 'has', 'have')} an old name." if others else "",
    )  # fmt: skip
