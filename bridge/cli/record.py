"""Implements ``syslog-bridge test --record``: writes a capture's samples as this version handles them."""

from collections import Counter
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import click

from bridge import __version__
from bridge.cli.survey import CaptureSettings, notes_of, opened, read_all
from bridge.config import Config, Listener
from bridge.explain.capture import CapturedFrame
from bridge.explain.capture.captured import SAMPLES_HEADER, sample_line
from bridge.explain.explanation import Explainer, Explanation, Origin, as_json
from bridge.explain.frames import Cut
from bridge.explain.selection import SampleSelection
from bridge.ingest import from_config as ingest_config
from bridge.routing import Router
from bridge.util.counts import counted

EXPECTED = ("intake", "route", "payload", "event", "event_timestamp")
"Values of a sample that can be expected."
_UNKNOWN_SENDER = IPv4Address("127.0.0.1")


def record_capture(config: Config, path: Path) -> None:
    """Prints samples of a capture on stdout, each with its intake, route, event and time, and numbers on stderr."""
    now = datetime.now(UTC)
    selection, left_out = SampleSelection(), Counter[str]()
    with opened(config, CaptureSettings(path, config.listeners[0], stream=False, source=None)) as capture:
        interrupted = not read_all(capture, selection.add)
    router = ingest_config.router(config)
    click.echo(SAMPLES_HEADER + f", recorded by version {__version__}".encode())
    recorded = 0
    for captured in selection.frames:
        filled = captured._replace(source=captured.source or _UNKNOWN_SENDER, received=captured.received or now)
        line = _recorded(config, router, filled)
        if line is None:
            left_out["whose event is not valid UTF-8 or is empty"] += 1
        else:
            recorded += 1
            click.echo(line, nl=False)
    click.echo(f"test: {counted(recorded, 'sample')} of {counted(selection.offered, 'frame')} recorded", err=True)
    for reason, number in (capture.skipped + left_out).most_common():
        click.echo(f"test: skipped {number:,} {reason}", err=True)
    for note in [*notes_of(capture), *["interrupted: the samples are of what was read until then"] * interrupted]:
        click.echo(f"test: {note}", err=True)
    if interrupted or not recorded:
        raise SystemExit(1)


def _recorded(config: Config, router: Router, captured: CapturedFrame) -> bytes | None:
    listener = _listener(config, captured.kind, captured.port)
    assert captured.received is not None
    explainer = Explainer(
        config, Origin(listener, captured.source), received=captured.received, strict=True, router=router, max_reasons=0
    )  # fmt: skip
    explanation = explainer.explain(Cut(captured.frame, "from a capture"))
    expected = None if explanation is None else _expectation(explanation)
    if expected is None:
        return None
    return sample_line(captured, listener=listener.name if listener != config.listeners[0] else None, expect=expected)


def _expectation(explanation: Explanation) -> dict[str, object] | None:
    """Returns the values that a test compares, or None if the file cannot hold them."""
    values = as_json(explanation)
    event = values["event"]
    if isinstance(event, str) and not event.isprintable() and any("\ud800" <= char <= "\udfff" for char in event):
        return None
    return {key: values[key] for key in EXPECTED}


def _listener(config: Config, kind: str, port: int | None) -> Listener:
    """Returns the listener that would receive the frame: that of its port, else the first one of its transport."""
    if port is None:
        return config.listeners[0]
    same = [(each, at) for each in config.listeners if (at := each.udp if kind == "udp" else each.tcp)]
    listeners = [each for each, at in same if at.port == port] or [each for each, _ in same] or config.listeners
    return listeners[0]
