"""What the machine brings: room for the spool, receive buffers, the clock. Each finding names its remedy."""

import ctypes
import http.client
import os
import socket
import ssl
import time
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from bridge.config import Destination, Share

PACKED = 0.3
"""Of its plain size, what a backlog takes once it is packed; the rest of an hour's is not yet."""
CLOCK_TOLERANCE = 5.0
"Seconds."
_ASK_SECONDS = 10.0

_STA_UNSYNC = 0x0040  # linux/timex.h
_TIME_ERROR = 5


@dataclass(frozen=True)
class Finding:
    """What was looked at; ``ok`` false where something is to be done."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True)
class Need:
    """What the operator expects: events a second, and for how long the collector may be away (seconds)."""

    rate: int
    outage: float
    bytes_per_event: float


def disk(spool: Path, max_size: int | Share, min_free: int | Share, need: Need) -> Finding:
    """Whether the spool's budget holds an outage."""
    place = next(folder for folder in (spool, *spool.parents) if folder.exists())
    try:
        found = os.statvfs(place)
    except OSError as error:
        return Finding("disk", False, f"{place}: {error.strerror}")
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    own = _size_of(spool)
    budget = max(0, min(_bytes(max_size, total), free + own - _bytes(min_free, total)))
    wanted = need.rate * need.outage * need.bytes_per_event * PACKED
    holds = budget / (need.rate * need.bytes_per_event * PACKED)
    said = (
        f"the spool may take {_size(budget)} of {_size(total)} at {place} ({_size(free)} are free): at {need.rate:,}"
        f" events/s that is an outage of {_span(holds)}"
    )
    if budget >= wanted:
        return Finding("disk", True, said)
    return Finding(
        "disk", False,
        f"the spool's disk is too small: {said}, and {_span(need.outage)} need {_size(int(wanted))}. Give it a"
        " larger filesystem of its own (spool.directory), or raise spool.max_size",
    )  # fmt: skip


def _bytes(given: int | Share, total: int) -> int:
    return given if isinstance(given, int) else total * given.percent // 100


def _size_of(folder: Path) -> int:
    """Bytes on disk; what may not be read counts as nothing."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
            except OSError:
                continue
    return total


def receive_buffer(wanted: int) -> Finding:
    """Whether the kernel grants what a UDP listener asks for (bytes)."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        # The kernel doubles what was asked for its own bookkeeping, and answers with the double.
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if granted >= wanted:
        return Finding("receive buffer", True, f"the kernel grants UDP listeners the {_size(wanted)} that they ask for")
    return Finding(
        "receive buffer", False,
        f"the kernel caps a UDP listener's receive buffer at {_size(granted)} of {_size(wanted)}: a burst of more than"
        f" some {granted // 1000:,} messages is lost while the bridge is busy. sysctl -w net.core.rmem_max={wanted},"
        " and the same line in /etc/sysctl.d/ (the Debian package brings it), then restart the bridge",
    )  # fmt: skip


def clock(collector_date: str | None, now: float, *, synchronised: bool | None = None) -> Finding:
    """Whether this machine's clock is right: against the Date of the collector's answer, and as the kernel knows.

    ``now``: seconds since the epoch when that answer came. ``synchronised``: None asks the kernel.
    """
    synchronised = _kernel_is_synchronised() if synchronised is None else synchronised
    remedy = "Set up time synchronisation (chrony or systemd-timesyncd; `timedatectl` tells)"
    offset = None
    if collector_date is not None:
        try:
            offset = now - parsedate_to_datetime(collector_date).timestamp()
        except ValueError:
            offset = None
    if offset is not None and abs(offset) > CLOCK_TOLERANCE:
        direction = "ahead of" if offset > 0 else "behind"
        return Finding(
            "clock", False,
            f"this machine's clock is {_span(abs(offset))} {direction} the collector's: times without a zone or a year"
            f" are read wrongly, and good clocks of devices are called wrong. {remedy}",
        )  # fmt: skip
    if offset is not None:
        known = "" if synchronised else f"; the kernel does not know it to be synchronised, though. {remedy}"
        return Finding("clock", True, f"the clock agrees with the collector's{known}")
    if not synchronised:
        return Finding(
            "clock", False,
            f"the kernel says that this clock is not synchronised, and the collector's was not heard. {remedy}",
        )  # fmt: skip
    return Finding("clock", True, "the clock is synchronised; the collector's was not heard")


def _kernel_is_synchronised() -> bool:
    """adjtimex(2); true where it cannot be asked."""
    buffer = (ctypes.c_char * 512)()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(buffer))
    except (OSError, AttributeError):
        return True
    # struct timex begins: unsigned modes, (padding), long offset, freq, maxerror, esterror, int status.
    status = ctypes.c_int.from_buffer(buffer, 5 * ctypes.sizeof(ctypes.c_long)).value
    return not (state == _TIME_ERROR or status & _STA_UNSYNC) if state >= 0 else True


def _span(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"


def _size(size: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}".replace(".0 ", " ")
    return f"{size} B"


def date_of(destination: Destination) -> tuple[str | None, float]:
    """The ``Date`` of the collector's answer to an empty request without a key, and our time then; None: no answer.

    Asked directly, without a proxy: an answer of a proxy's own would tell of its clock.
    """
    parts = urlsplit(destination.url)
    host, port, path = parts.hostname or "", parts.port, (parts.path or "") + destination.endpoint
    connection: http.client.HTTPConnection
    try:
        if parts.scheme == "https":
            trust = ssl.create_default_context(cafile=destination.ca_file)
            if destination.extra_ca_file is not None:
                trust.load_verify_locations(destination.extra_ca_file)
            connection = http.client.HTTPSConnection(host, port, timeout=_ASK_SECONDS, context=trust)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_ASK_SECONDS)
        with closing(connection):
            connection.request("HEAD", path)
            return connection.getresponse().headers.get("Date"), time.time()
    except (OSError, http.client.HTTPException, ValueError):
        return None, time.time()
