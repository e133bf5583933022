"""Groups the columns of one read for the spool: payload forms, event times, slots and spool encodings."""

from bridge.batching.grouping import Grouped, group
from bridge.batching.groups import Group, GroupLimits
from bridge.syslog.timestamps import Window

__all__ = ["Group", "GroupLimits", "Grouped", "Window", "group"]
