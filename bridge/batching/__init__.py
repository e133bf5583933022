"""From the columns of one read to what is appended to the spool: payload forms, times and slots, spool encodings."""

from bridge.batching.grouping import Grouped, group
from bridge.batching.groups import Group, Limits
from bridge.batching.times import Window

__all__ = ["Group", "Grouped", "Limits", "Window", "group"]
