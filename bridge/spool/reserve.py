"""``SPOOL/.reserve``: a few MiB that are ours on a full disk, so that what is spooled can leave it.

A rename may need a block of its directory, a refused event one of quarantine. Given up when a write finds the disk
full; made again, before anybody else gets the room, once there is some. Blocking calls.
"""

import os
from pathlib import Path

MOST = 4 << 20
LEAST = 4096


class Reserve:
    """One spool's reserve. ``size`` in bytes is that of the last ``make``."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / ".reserve"
        self.size = 0
        self.held = False

    def make(self, budget: int, at_most: int = MOST) -> None:
        """Allocate it: 1 % of ``budget`` bytes, ``at_most`` so many. Raises OSError; then there is none."""
        size = max(LEAST, min(MOST, budget // 100, at_most))
        if self.held and size == self.size:
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            self.size, self.held = size, True
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            self.release()
            raise
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give it up. What cannot be unlinked is cut."""
        self.held = False
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            try:
                os.truncate(self.path, 0)
            except OSError:
                # Where neither is allowed the reserve is no use, nor is it in the way of anything that would be.
                return
