"""Defines the device shapes: headers that real devices send. Each shape is a row with an example that a test checks.

- ``untimed``: headers without a leading timestamp
- ``cisco``: Cisco's counters and origin-id, and relays
- ``keyvalue``: ``key=value`` or JSON without a header
- ``timed``: headers that differ from RFC 3164 after the timestamp, and headers after a false RFC 5424 version

To support a new device, add a row to one of these modules.
"""

from bridge.syslog.shapes import cisco, keyvalue
from bridge.syslog.shapes.shape import NO_TIME, Shape, tagged
from bridge.syslog.shapes.timed import EPOCH, TIMED, VERSIONED, WITHOUT_DATA
from bridge.syslog.shapes.untimed import KIWI, LAST, UNTIMED

SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (*UNTIMED.rows, *LAST.rows, KIWI, *cisco.SHAPES, *keyvalue.SHAPES, *TIMED.rows, *VERSIONED.rows,
                  *WITHOUT_DATA.rows, *EPOCH.rows)
}  # fmt: skip
"All shapes by name."

__all__ = [
    "EPOCH",
    "KIWI",
    "LAST",
    "NO_TIME",
    "SHAPES",
    "TIMED",
    "UNTIMED",
    "VERSIONED",
    "WITHOUT_DATA",
    "Shape",
    "cisco",
    "keyvalue",
    "tagged",
]
