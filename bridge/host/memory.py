"""Returns memory to the system that glibc's allocator keeps after large buffers are freed.

Buffers of megabytes (HTTPS bodies, unfinished frames, batches of a backlog) lie between small objects that stay. When
they are freed, the heap keeps their pages, and after an outage or an attack the process would keep the size of its
peak. With another C library, nothing is done.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress

EVERY = 10.0
"Seconds between two checks."
MAX_FREE = 32 << 20
"Bytes that the heap may keep free. They may already have been returned: glibc does not tell."
_LARGE = 8 << 20
"""Bytes from which a buffer gets pages of its own, which are returned when it is freed. The kernel clears such pages at
each allocation: with 2 MiB, batches of usual size cost a fifth more CPU time per event."""
_USAGE_FUNCTION = "mallinfo2"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


class _Usage(ctypes.Structure):
    """Represents ``struct mallinfo2`` (mallinfo(3))."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


class Allocator:
    """Controls the C library's allocator of this process, if it is glibc 2.33 or newer."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._usage: Callable[[], _Usage] | None = None
        with suppress(AttributeError):
            self._usage = ctypes.CFUNCTYPE(_Usage)((_USAGE_FUNCTION, self._library))

    def tune(self) -> None:
        """Gives large buffers pages of their own. Without a fixed size, glibc raises it to 32 MiB by itself."""
        if self._usage is not None:
            self._library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
            self._library.mallopt(_M_TRIM_THRESHOLD, MAX_FREE)

    def return_free(self) -> bool:
        """Returns free pages to the system if there are many. Returns True if there were.

        Takes up to some tens of milliseconds, and less than one if they have been returned before.
        """
        if self._usage is None or self._usage().fordblks <= MAX_FREE:
            return False
        self._library.malloc_trim(0)
        return True
