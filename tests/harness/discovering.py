"""Builds findings of senders from messages, with one message a second."""

from collections.abc import Iterable
from datetime import UTC, datetime

from bridge.discover import FindingSettings, Observer, Received, SenderFinding, find_all

ADDRESS = "192.0.2.7"
START = datetime(2026, 11, 23, 7, 24, tzinfo=UTC)
FORTIGATE = (
    b'<189>date=2026-11-23 time=07:24:00 devname="%b" devid="FG100F7" logid="0000000013" type="traffic" '
    b'subtype="forward" level="notice" vd="root" srcip=192.0.2.31 action="close"'
)
ASA = b"<166>%b %b : %%ASA-6-302013: Built outbound TCP connection 7 for outside:192.0.2.9/443 to inside:10.0.0.1/5"
SSHD = b"<86>%b %b sshd[41]: Accepted publickey for anna from 192.0.2.31 port 50022 ssh2"
UNKNOWN = b"<13>Nov 23 07:24:00 pump-7 pressure 7 bar"


def stamped(second: int, hours: float = 0) -> bytes:
    """Returns the RFC 3164 time of a clock that is some hours ahead of UTC."""
    moment = datetime.fromtimestamp(START.timestamp() + second + 3600 * hours, UTC)
    return f"{moment:%b %e %H:%M:%S}".encode()


def observed(frames: Iterable[bytes], source: str = ADDRESS, *, step: float = 1.0, timed: bool = True) -> Observer:
    """Returns an observer that has received the frames. ``step``: seconds from one to the next."""
    return add(Observer(), frames, source, step=step, timed=timed)


def add(
    observer: Observer, frames: Iterable[bytes], source: str, *, step: float = 1.0, timed: bool = True,
    transport: str = "udp",
) -> Observer:  # fmt: skip
    """Passes frames of one sender to an observer, and returns it."""
    for number, frame in enumerate(frames):
        observer.add(Received(frame, source, START.timestamp() + step * number if timed else None, transport))
    return observer


def findings_of(frames: Iterable[bytes], settings: FindingSettings | None = None) -> list[SenderFinding]:
    """Returns the findings of one sender."""
    return list(find_all(observed(frames), settings or FindingSettings()))
