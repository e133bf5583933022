"""Checks the machine: disk space for the spool, receive buffers and the clock. Each finding names its remedy."""

import ctypes
import http.client
import os
import socket
import ssl
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from bridge.config import Destination, Share

PACKED = 0.3
"""Disk space of a backlog once it is packed, as a fraction of its unpacked size. Its latest part is not packed yet."""
CLOCK_TOLERANCE = 5.0
"Seconds."
_TIMEOUT_SECONDS = 10.0

_STA_UNSYNC = 0x0040  # linux/timex.h
_TIME_ERROR = 5


@dataclass(frozen=True)
class Finding:
    """The result of one check; ``ok`` is False if the operator has to act."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True)
class Need:
    """The load to plan for: events per second, outage of the collector in seconds, and bytes per event."""

    rate: int
    outage: float
    bytes_per_event: float


def disk(spool: Path, max_size: int | Share, min_free: int | Share, need: Need) -> Finding:
    """Checks that the spool's budget can hold the events of an outage."""
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
    text = (
        f"the spool may use {_size(budget)} of {_size(total)} at {place} ({_size(free)} free). At {need.rate:,}"
        f" events/s this holds an outage of {_span(holds)}"
    )
    if budget >= wanted:
        return Finding("disk", True, text)
    return Finding(
        "disk", False,
        f"the spool's disk is too small: {text}, but {_span(need.outage)} need {_size(int(wanted))}. Move the spool to"
        " a larger filesystem (spool.directory), or raise spool.max_size",
    )  # fmt: skip


def _bytes(given: int | Share, total: int) -> int:
    return given if isinstance(given, int) else total * given.percent // 100


def _size_of(folder: Path) -> int:
    """Returns the bytes on disk of all files in a folder; unreadable ones count as zero."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total


def receive_buffer(wanted: int) -> Finding:
    """Checks that the kernel grants the receive buffer that a UDP listener requests, in bytes."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        # The kernel doubles the requested size for its own bookkeeping and returns the doubled value.
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if granted >= wanted:
        return Finding("receive buffer", True, f"the kernel grants UDP listeners the requested {_size(wanted)}")
    return Finding(
        "receive buffer", False,
        f"the kernel caps a UDP listener's receive buffer at {_size(granted)} of {_size(wanted)}. While the bridge is"
        f" busy, messages of a burst beyond about {granted // 1000:,} are lost. Run sysctl -w"
        f" net.core.rmem_max={wanted}, add net.core.rmem_max={wanted} to a file in /etc/sysctl.d/ (the Debian package"
        " does this), and restart the bridge",
    )  # fmt: skip


def clock(collector_date: str | None, now: float, *, synchronised: bool | None = None) -> Finding:
    """Checks this machine's clock against the Date header of a collector's response and the state of the kernel.

    ``now`` is the time of the response in seconds since the epoch. ``synchronised`` None means: query the kernel.
    """
    synchronised = _kernel_is_synchronised() if synchronised is None else synchronised
    remedy = "Set up time synchronisation (chrony or systemd-timesyncd); `timedatectl` shows its state"
    try:
        offset = now - parsedate_to_datetime(collector_date or "").timestamp()
    except ValueError:
        if synchronised:
            return Finding("clock", True, "the clock is synchronised; the collector's time is unknown")
        text = "the kernel reports the clock as not synchronised, and the collector's time is unknown"
        return Finding("clock", False, f"{text}. {remedy}")
    if abs(offset) > CLOCK_TOLERANCE:
        direction = "ahead of" if offset > 0 else "behind"
        return Finding(
            "clock", False,
            f"this machine's clock is {_span(abs(offset))} {direction} the collector's. Timestamps without zone or year"
            f" are read wrongly, and correct device clocks are reported as wrong. {remedy}",
        )  # fmt: skip
    warning = "" if synchronised else f", but the kernel reports it as not synchronised. {remedy}"
    return Finding("clock", True, f"the clock agrees with the collector's{warning}")


def _kernel_is_synchronised() -> bool:
    """Returns the synchronisation state from adjtimex(2); True if the call fails."""
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


def fetch_date(destination: Destination) -> tuple[str | None, float]:
    """Sends an empty request without a key; returns the ``Date`` of the response (None: no response) and our time then.

    The request does not use a proxy, because a response by the proxy itself would carry the proxy's time.
    """
    parts = urlsplit(destination.url)
    host, port, path = parts.hostname or "", parts.port, (parts.path or "") + destination.endpoint
    connection: http.client.HTTPConnection
    try:
        if parts.scheme == "https":
            trust = ssl.create_default_context(cafile=destination.ca_file)
            if destination.extra_ca_file is not None:
                trust.load_verify_locations(destination.extra_ca_file)
            connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=trust)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        with closing(connection):
            connection.request("HEAD", path)
            return connection.getresponse().headers.get("Date"), time.time()
    except (OSError, http.client.HTTPException, ValueError):
        return None, time.time()
