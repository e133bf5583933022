"""Compares what the bridge would deliver with what an imported forwarder sends, for each sender, without touching any.

The forwarder is imported. Its intakes get the format of their senders if all of an intake's senders are identified as
products of one format. The events of both configurations are then made from the same messages.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge.config import Listener, load
from bridge.discover import SenderFinding
from bridge.discover.changes import receives
from bridge.discover.clock_evidence import utc
from bridge.explain.explanation import Explainer, Origin, as_json
from bridge.explain.frames import Cut
from bridge.ingest import from_config
from bridge.ingest.addresses import address_of
from bridge.setup.import_result import Imported
from bridge.util.counts import counted


@dataclass(frozen=True, slots=True)
class ShadowEvent:
    """Describes one message as it is delivered. ``intake`` None: not delivered. No key is shown."""

    intake: str | None
    time: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class ShadowRow:
    """Shows one message of a sender as the forwarder sends it and as the bridge would deliver it."""

    finding: SenderFinding
    forwarder: ShadowEvent
    bridge: ShadowEvent

    @property
    def differences(self) -> list[str]:
        """Returns what differs: ``intake``, ``time``, ``text``."""
        pairs = (
            ("intake", self.forwarder.intake, self.bridge.intake), ("time", self.forwarder.time, self.bridge.time),
            ("text", self.forwarder.text, self.bridge.text),
        )  # fmt: skip
        return [name for name, one, other in pairs if one != other]


@dataclass(frozen=True, slots=True)
class Shadow:
    """Holds the comparison, and the imported configuration with the formats that were found."""

    imported: Imported
    rows: Sequence[ShadowRow]
    notes: Sequence[str]


def shadow_of(imported: Imported, name: str, findings: Sequence[SenderFinding]) -> Shadow:
    """Compares an imported forwarder with the findings. ``name`` is that of its configuration file. Raises OSError."""
    before = _ExplainedConfiguration(imported, name)
    reached = {finding.place: before.intakes(finding) for finding in findings}
    notes: list[str] = []
    formats = dict(_formats(imported, findings, reached, notes))
    found = replace(
        imported,
        intakes={
            intake: replace(draft, format=formats[intake], identified=True) if intake in formats else draft
            for intake, draft in imported.intakes.items()
        },
    )
    after = _ExplainedConfiguration(found, name)
    rows = [
        ShadowRow(finding, before.event(finding), after.event(finding)) for finding in findings if finding.samples
    ]  # fmt: skip
    return Shadow(found, rows, notes)


class _ExplainedConfiguration:
    """Explains messages with an imported configuration, which is loaded without its keys and certificates."""

    def __init__(self, imported: Imported, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "bridge.yaml"
            file.write_text(imported.as_yaml(name))
            self._config = load(file, secrets=False)
        self._router = from_config.router(self._config)

    def intakes(self, finding: SenderFinding) -> set[str]:
        """Returns the intakes that the messages of a sender reach."""
        return {intake for values in self._explained(finding, finding.samples) if (intake := values["intake"])}

    def event(self, finding: SenderFinding) -> ShadowEvent:
        """Returns the event of the last message of a sender."""
        (values,) = self._explained(finding, finding.samples[-1:])
        return ShadowEvent(values["intake"], values["event_timestamp"], values["event"])

    def _explained(self, finding: SenderFinding, frames: Sequence[bytes]) -> Iterator[dict[str, Any]]:
        explainer = Explainer(
            self._config, Origin(self._listener(finding), address_of(finding.source)),
            received=utc(finding.last) or datetime.now(UTC), strict=False, router=self._router, max_reasons=0,
        )  # fmt: skip
        for frame in frames:
            explanation = explainer.explain(Cut(frame, "of a sender"))
            empty = {"intake": None, "event_timestamp": None, "event": None}
            yield empty if explanation is None else as_json(explanation)

    def _listener(self, finding: SenderFinding) -> Listener:
        """Returns the listener of the port that the messages were sent to, else the first one of the transport."""
        listeners = self._config.listeners
        same = (each for name in finding.transports for each in listeners if receives(each, name))
        return next(same, listeners[0])


def _formats(
    imported: Imported, findings: Sequence[SenderFinding], reached: Mapping[str, set[str]], notes: list[str]
) -> Iterator[tuple[str, str]]:
    """Yields each intake whose senders all have one format, and that format."""
    for intake in imported.keys:
        senders = [finding for finding in findings if intake in reached[finding.place]]
        formats = {finding.identified.format if finding.route else None for finding in senders}
        known = sorted(text_format for text_format in formats if text_format)
        if not senders:
            notes.append(f"intake {intake}: no message for it was seen, so it has no format")
        elif len(formats) == 1 and known:
            yield intake, known[0]
        elif known:
            others = " and of senders that were not identified" if None in formats else ""
            notes.append(f"intake {intake}: it gets messages of the formats {', '.join(known)}{others}, so it has none")
        else:
            notes.append(
                f"intake {intake}: none of {counted(len(senders), 'sender')} was identified, so it has no format"
            )
