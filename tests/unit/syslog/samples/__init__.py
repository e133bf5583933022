"""Defines sample messages in the formats of real products, each with the expected fields.

``¦`` marks the beginning of MSG and is not part of the frame. All samples were received on 23 November 2026 at 07:24:05
UTC from a source in UTC. Unless a sample has another time, its time is 07:24:00 on that day.
"""

from typing import NamedTuple


class Sample(NamedTuple):
    product: str
    frame: bytes
    msg: bytes
    host: str | None
    app: str | None
    procid: str | None
    msgid: str | None
    time: str | None
    shape: str
    format: str


def sample(
    product: str, frame: str, host: str | None = None, app: str | None = None, procid: str | None = None, *,
    msgid: str | None = None, time: str | None = "2026-11-23T07:24:00Z", shape: str = "rfc3164", format: str = "rfc3164",
) -> Sample:  # fmt: skip
    head, mark, msg = frame.partition("¦")
    assert mark, frame
    return Sample(product, (head + msg).encode(), msg.encode(), host, app, procid, msgid, time, shape, format)


from tests.unit.syslog.samples import headers, network, servers  # noqa: E402

SAMPLES = [*network.SAMPLES, *servers.SAMPLES, *headers.SAMPLES]
