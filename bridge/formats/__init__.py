"""The text formats of the intakes: per format the payload form, its refinement, and what an accepted event begins with.

    find("fortigate").payload        # "message"
    find("cisco-ios").fits(event)    # does the text look like it?

A format is one row of a ``table_*`` module; ``rules`` holds what some of them do beyond a payload form. To add a
format: a row, with an example as the device sends it. The package is words and expressions: it imports nothing of the
bridge, so the configuration may read its names.
"""

from bridge.formats.format import LOOKED_AT, Format
from bridge.formats.registry import FORMATS, UnknownFormat, find
from bridge.formats.rule import FormatRule

__all__ = ["FORMATS", "LOOKED_AT", "Format", "FormatRule", "UnknownFormat", "find"]
