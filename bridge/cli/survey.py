"""Implements ``syslog-bridge explain --survey``: summarises a capture by source and shape, and anonymises it."""

import json
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes
from typing import NamedTuple

import click

from bridge.cli.options import fail
from bridge.config import Config, Listener
from bridge.explain.anonymise import anonymise
from bridge.explain.capture import Capture, CapturedFrame, CaptureError, open_capture
from bridge.explain.capture.captured import SAMPLES_HEADER, sample_line
from bridge.explain.frames import Cutter
from bridge.explain.selection import SampleSelection
from bridge.explain.survey import Survey
from bridge.explain.survey_text import json_of_survey, text_of_survey
from bridge.routing.conditions import Address
from bridge.util.counts import counted
from bridge.util.files import fsync_path, shown_path, write_new

SYSLOG_PORT = 514


class CaptureSettings(NamedTuple):
    """Holds the options with which a capture is read."""

    path: Path
    listener: Listener
    stream: bool
    source: Address | None


@contextmanager
def opened(config: Config, settings: CaptureSettings, more_ports: Collection[int] = ()) -> Iterator[Capture]:
    """Opens a capture as the configuration's listeners, and listeners on more ports, would read it."""
    addresses = [address for each in config.listeners for address in (each.udp, each.tcp) if address]
    ports = {SYSLOG_PORT, *more_ports, *(address.port for address in addresses)}
    cutter = Cutter(
        settings.listener, max_frame_size=config.max_frame_size, truncate=config.oversize == "truncate"
    )  # fmt: skip
    with open_capture(settings.path) as stream:
        yield Capture(stream, cutter, by_stream=settings.stream, ports=frozenset(ports), source=settings.source)


def read_all(capture: Capture, take: Callable[[CapturedFrame], None]) -> bool:
    """Passes each frame to ``take``. Returns False if Ctrl-C ended it before the end of the capture."""
    try:
        for captured in capture:
            take(captured)
    except KeyboardInterrupt:
        return False
    return True


def survey(config: Config, settings: CaptureSettings, output: Path | None, *, as_json: bool) -> None:
    """Prints the summary of a capture; with ``output``, also writes its anonymised samples to that new file."""
    if output is not None and os.path.lexists(output):
        raise CaptureError(f"--anonymise {shown_path(output)}: the file exists", "Name a new file")
    result, selection = Survey(config.timezone), SampleSelection()

    def take(captured: CapturedFrame) -> None:
        result.add(captured)
        if output is not None:
            selection.add(captured)

    with opened(config, settings) as capture:
        interrupted = not read_all(capture, take)
    notes = notes_of(capture)
    if interrupted:
        notes.append("interrupted: the numbers are of what was read until then")
    if output is not None:
        notes.append(_anonymised(selection, output))
    if as_json:
        click.echo(json.dumps(json_of_survey(result, capture.skipped, notes), ensure_ascii=False))
    else:
        for text in text_of_survey(result, capture.skipped, notes):
            click.echo(text)
    if interrupted:
        raise SystemExit(1)
    if not result.frames:
        fail("explain: the capture has no syslog frames")


def notes_of(capture: Capture) -> list[str]:
    """Returns what a reader of the numbers must know about the capture."""
    if capture.damaged:
        return ["the file is damaged or cut short: nothing behind the last packet could be read"]
    return []


def _anonymised(selection: SampleSelection, output: Path) -> str:
    senders = sorted({str(each.source).encode() for each in selection.frames if each.source})
    result = anonymise([each.frame for each in selection.frames], token_bytes(16), senders)
    lines = [SAMPLES_HEADER + b", anonymised. Read it before you send it\n"]
    for captured, frame in zip(selection.frames, result.frames, strict=True):
        if frame is not None:
            sender = captured.source and result.address(captured.source)
            lines.append(sample_line(captured._replace(frame=frame, source=sender)))
    write_new(output, lines, mode=0o600)
    fsync_path(output.parent)
    left_out = f"; {result.left_out:,} left out, because they would be read differently" if result.left_out else ""
    samples = counted(len(lines) - 1, "anonymised sample")
    return (
        f"{shown_path(output)}: {samples} of {counted(selection.offered, 'frame')}{left_out}."
        " Read the file before you send it: a name in free text may remain"
    )
