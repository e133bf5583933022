"""From the columns of one read to what is appended to the spool: payload forms, times and slots, spool encodings."""

from bridge.batching.grouping import Group, Grouped, Limits, Window, group

__all__ = ["Group", "Grouped", "Limits", "Window", "group"]
