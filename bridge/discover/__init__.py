"""Finds out which product each sender is, from the messages it sends, and writes a configuration for all of them.

    observer = Observer()
    observer.add(Received(frame, address, time, transport))      # every message
    findings = find_all(observer, FindingSettings())             # one per sender, or several if it is a relay
    text = configuration_text(Plan.of(findings), ...)

Memory is bounded, whatever is received: every message is counted, a sample of each sender is examined. What is not
identified stays unrouted. The package opens no socket and no file.
"""

from bridge.discover.decide import FindingSettings, find_all, find_one
from bridge.discover.finding import SenderFinding
from bridge.discover.observer import Observer, Received, SampleOrigin

__all__ = ["FindingSettings", "Observer", "Received", "SampleOrigin", "SenderFinding", "find_all", "find_one"]
