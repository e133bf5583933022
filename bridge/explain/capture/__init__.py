"""Reads the frames of a capture: text, samples, or a pcap or pcapng of syslog over UDP and TCP.

with open_capture(path) as stream:
    capture = Capture(stream, cutter, by_stream=False, ports=frozenset({514}))
    for captured in capture: ...
    capture.skipped          # reason -> number of packets or lines that are not frames
"""

from bridge.explain.capture.captured import CapturedFrame
from bridge.explain.capture.reader import Capture, CaptureError, open_capture

__all__ = ["Capture", "CaptureError", "CapturedFrame", "open_capture"]
