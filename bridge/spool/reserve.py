"""Reserves a few MiB in ``SPOOL/.reserve``, so that the spool can still be drained when the disk is full.

A rename may need a block for its directory, and a refused event needs a block in quarantine. The reserve is released
when a write finds the disk full, and allocated again before other uses once there is space. Blocking calls.
"""

import os
from contextlib import suppress
from pathlib import Path

MAX_SIZE = 4 << 20
MIN_SIZE = 4096

_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC


class Reserve:
    """The reserve of one spool. ``size`` is in bytes and comes from the last ``make``."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / ".reserve"
        self.size = 0
        self.held = False

    def make(self, budget: int, at_most: int = MAX_SIZE) -> None:
        """Allocates 1 % of ``budget`` bytes, but no more than ``at_most``. Raises OSError; then there is no reserve."""
        size = max(MIN_SIZE, min(MAX_SIZE, budget // 100, at_most))
        if self.held and size == self.size:
            return
        descriptor = os.open(self.path, _NEW, 0o640)
        try:
            self.size, self.held = size, True
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            self.release()
            raise
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Removes the reserve file. Truncates it if it cannot be unlinked."""
        self.held = False
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            # If neither is permitted, the reserve cannot be released. It does no other harm.
            with suppress(OSError):
                os.truncate(self.path, 0)
