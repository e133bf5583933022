"""What real devices send, as tables: one row a shape, with an example that a test checks.

``opening``: without a time in front · ``cisco``: counters, origin-id, relays · ``keyvalue``: no header at all ·
``timed``: what differs behind the time, and behind a version that is none. A new device is a row there.
"""

from bridge.syslog.shapes import cisco, keyvalue
from bridge.syslog.shapes.shape import NO_TIME, Shape, tagged
from bridge.syslog.shapes.timed import TIMED, VERSIONED
from bridge.syslog.shapes.untimed import KIWI, LAST, OPENINGS

SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (*OPENINGS.rows, *LAST.rows, KIWI, *cisco.SHAPES, *keyvalue.SHAPES, *TIMED.rows, *VERSIONED.rows)
}  # fmt: skip
"All rows by name."

__all__ = [
    "KIWI",
    "LAST",
    "NO_TIME",
    "OPENINGS",
    "SHAPES",
    "TIMED",
    "VERSIONED",
    "Shape",
    "cisco",
    "keyvalue",
    "tagged",
]
