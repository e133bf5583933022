"""Describes the text formats of the intakes' parsers: payload form, format rule, and the beginning of a valid event.

    find("fortigate").payload        # "message"
    find("cisco-ios").fits(event)    # True if the event looks like this format

A format is one row of a ``table_*`` module. ``rules`` defines what some formats do beyond a payload form. To add a
format, add a row with an example as the device sends it. The package imports no other package of the bridge, so the
configuration can use its names.
"""

from bridge.formats.format import MAX_EXAMINED, Format
from bridge.formats.registry import FORMATS, UnknownFormat, containing, find
from bridge.formats.rule import FormatRule

__all__ = ["FORMATS", "MAX_EXAMINED", "Format", "FormatRule", "UnknownFormat", "containing", "find"]
