"""Defines sample messages in the formats of real products, each with the expected fields.

``¦`` marks the beginning of MSG and is not part of the frame. All samples were received on 23 November 2026 at 07:24:05
UTC from a source in UTC. Unless a sample has another time, its time is 07:24:00 on that day.

The event of a sample is its MSG without leading blanks or, if the product has a text format, the text that the intake's
parser expects. Addresses, names and texts are invented; the layouts are those that the vendors document.
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
    intake: str | None
    "The text format of the product's intake, if it has one."
    event: bytes
    "The text that the intake receives."


def sample(
    product: str, frame: str, host: str | None = None, app: str | None = None, procid: str | None = None, *,
    msgid: str | None = None, time: str | None = "2026-11-23T07:24:00Z", shape: str = "rfc3164", format: str = "rfc3164",
    intake: str | None = None, event: str | None = None,
) -> Sample:  # fmt: skip
    head, mark, msg = frame.partition("¦")
    assert mark, frame
    text = msg.lstrip(" ") if event is None else event
    return Sample(
        product, (head + msg).encode(), msg.encode(), host, app, procid, msgid, time, shape, format, intake, text.encode()
    )  # fmt: skip


from tests.unit.syslog.samples import headers, infrastructure, network, security, servers, services  # noqa: E402

# The mix of the benchmark's load with every vendor's format. It stays as it is, so that versions can be compared.
LOAD_SAMPLES = [*network.SAMPLES, *servers.SAMPLES, *headers.SAMPLES]

SAMPLES = [*LOAD_SAMPLES, *security.SAMPLES, *services.SAMPLES, *infrastructure.SAMPLES]
