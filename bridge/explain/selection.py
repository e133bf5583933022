"""Selects sample frames of a capture: some of each kind of message, so that a large capture gives a small file."""

from collections import Counter
from collections.abc import Hashable

from bridge.explain.capture import CapturedFrame
from bridge.syslog import parser
from bridge.syslog.intake_key import masked

MAX_OF_A_KIND = 25
"Frames of the same source, shape, program and message id."
MAX_FRAMES = 5_000
MAX_BYTES = 4 << 20
"Limits of all selected frames. The file must stay shorter than a file of samples may be."


class SampleSelection:
    """Keeps the first frames of each kind. Intake keys in them are masked."""

    def __init__(self) -> None:
        self.frames: list[CapturedFrame] = []
        self.offered = 0
        self._kinds: Counter[Hashable] = Counter()
        self._bytes = 0

    def add(self, captured: CapturedFrame) -> None:
        """Keeps a frame if its kind has few frames yet and the limits allow it."""
        self.offered += 1
        if len(self.frames) >= MAX_FRAMES or self._bytes + len(captured.frame) > MAX_BYTES:
            return
        header = parser.read(captured.frame)
        kind = (captured.source, header.shape, header.hostname, header.app_name, header.msgid)
        if self._kinds[kind] < MAX_OF_A_KIND:
            self._kinds[kind] += 1
            self._bytes += len(captured.frame)
            self.frames.append(captured._replace(frame=masked(captured.frame)))
