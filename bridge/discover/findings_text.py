"""Formats findings as text or JSON."""

from collections.abc import Iterator, Sequence

from bridge.config.faults import printable
from bridge.discover.clock_evidence import span
from bridge.discover.finding import FEW, SenderFinding
from bridge.util.counts import counted

MAX_SHOWN = 500
"Findings that the text lists."
_MAX_NAMES = 5


def text_of_findings(findings: Sequence[SenderFinding]) -> Iterator[str]:
    """Yields the findings as paragraphs, and a summary."""
    for finding in findings[:MAX_SHOWN]:
        yield "\n".join([_title(finding), *(f"  {name:<10}{value}" for name, value in _rows(finding))]) + "\n"
    if len(findings) > MAX_SHOWN:
        yield f"and {len(findings) - MAX_SHOWN:,} more, which --output json lists\n"
    routed = sum(finding.route for finding in findings)
    few = sum(finding.few for finding in findings)
    yield f"{routed:,} of {len(findings):,} identified with a text format, {few:,} by fewer than {FEW} messages"


def json_of_finding(finding: SenderFinding) -> dict[str, object]:
    """Returns a finding as a JSON object. Text of messages is not part of it."""
    identified, clock = finding.identified, finding.clock
    return {
        "source": finding.source or None, "host": finding.host, "product": identified.product,
        "format": identified.format, "confidence": identified.confidence, "reason": identified.reason,
        "runner_up": identified.runner_up, "matched": identified.matched, "examined": identified.examined,
        "route": finding.route, "why_not": finding.why or None, "relay": finding.relay, "name": finding.name,
        "devices": list(finding.devices), "app_names": list(finding.app_names), "shapes": list(finding.shapes),
        "transports": list(finding.transports), "messages": finding.count, "seconds": finding.seconds,
        "messages_per_second": finding.rate, "longest_gap_seconds": finding.longest_gap,
        "alert_if_silent_for_seconds": finding.silence_limit, "clock": clock.kind, "clock_text": clock.text,
        "timezone": clock.zone, "timezone_candidates": list(clock.candidates),
    }  # fmt: skip


def _title(finding: SenderFinding) -> str:
    identified = finding.identified
    product = f"{identified.product} ({identified.confidence:.0%})" if identified.product else "unknown"
    name = f" {finding.name}" if finding.name and not finding.host else ""
    intake = f" -> {identified.format}" if finding.route else ", held"
    return printable(f"{finding.place}{name}: {product}{intake}")


def _rows(finding: SenderFinding) -> Iterator[tuple[str, str]]:
    identified = finding.identified
    yield "evidence", f"{printable(identified.reason)}; runner-up: {printable(identified.runner_up or 'none')}"
    if finding.why and identified.product:
        yield "held", printable(finding.why)
    over = f" over {', '.join(map(printable, finding.transports))}" if finding.transports else ""
    few = "; FEW" if finding.few else ""
    yield "seen", f"{counted(finding.count, 'message')}{_rate(finding)}{over}{few}"
    yield "shape", ", ".join(finding.shapes)
    if finding.relay:
        yield "relay", f"of {counted(len(finding.devices), 'host')}: {_listed(finding.devices)}"
    if finding.app_names:
        yield "programs", f"only {', '.join(finding.app_names)}"
    candidates = f"; zones with this offset: {', '.join(finding.clock.candidates)}" if finding.clock.candidates else ""
    yield "clock", f"{finding.clock.text}{candidates}"


def _rate(finding: SenderFinding) -> str:
    if finding.rate is None:
        return ""
    return f" in {span(finding.seconds)} ({finding.rate:.3g}/s, longest silence {span(finding.longest_gap)})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(map(printable, names[:_MAX_NAMES])) + more
