"""Writes samples of all senders as a file for ``syslog-bridge test``, with the intake that each one must reach."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from bridge.discover.finding import SenderFinding
from bridge.explain.capture import CapturedFrame
from bridge.explain.capture.captured import SAMPLES_HEADER, sample_line

MAX_OF_A_FINDING = 5
MAX_BYTES = 8 << 20
"A file of samples may have twice as many bytes."


def sample_lines(findings: Sequence[SenderFinding]) -> Iterator[bytes]:
    """Yields the lines of the file. Samples of held messages expect no intake."""
    yield SAMPLES_HEADER + b" of `syslog-bridge discover`. They have texts of messages: keep the file private\n"
    size = 0
    for finding in findings:
        source = ip_address(finding.source) if finding.source else None
        for frame in finding.samples[:MAX_OF_A_FINDING]:
            intake = finding.identified.format if finding.route else None
            line = sample_line(CapturedFrame(frame, source), expect={"intake": intake})
            size += len(line)
            if size > MAX_BYTES:
                return
            yield line
