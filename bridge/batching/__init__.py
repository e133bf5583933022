"""From the columns of one read to what is appended to the spool: payload forms, times and slots, spool encodings."""

from bridge.batching.event_times import Window
from bridge.batching.grouping import Grouped, group
from bridge.batching.groups import Group, GroupLimits

__all__ = ["Group", "GroupLimits", "Grouped", "Window", "group"]
