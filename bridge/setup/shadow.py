"""Compares what the bridge would deliver with what an imported forwarder sends, for each sender, without touching any.

The forwarder is imported. Its intakes get the format of their senders if all of an intake's senders are identified as
products of one format. The events of both configurations are then made from the same messages.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from bridge.config import Config, Listener, load
from bridge.discover import SenderFinding
from bridge.discover.clock_evidence import utc
from bridge.explain.explanation import Explainer, Origin, as_json
from bridge.explain.frames import Cut
from bridge.ingest import from_config
from bridge.setup.import_result import Imported


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
    before = _loaded(imported, name)
    reached = {finding.place: _intakes(before, finding) for finding in findings}
    notes: list[str] = []
    formats = dict(_formats(imported, findings, reached, notes))
    found = replace(
        imported,
        intakes={
            intake: replace(draft, format=formats[intake], identified=True) if intake in formats else draft
            for intake, draft in imported.intakes.items()
        },
    )
    after = _loaded(found, name)
    rows = [
        ShadowRow(finding, _event(before, finding), _event(after, finding)) for finding in findings if finding.samples
    ]  # fmt: skip
    return Shadow(found, rows, notes)


def _loaded(imported: Imported, name: str) -> Config:
    """Loads an imported configuration without its keys and certificates."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bridge.yaml"
        file.write_text(imported.as_yaml(name))
        return load(file, secrets=False)


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
            notes.append(f"intake {intake}: none of its {len(senders)} senders was identified, so it has no format")


def _intakes(config: Config, finding: SenderFinding) -> set[str]:
    return {intake for frame in finding.samples if (intake := _explained(config, finding, frame)["intake"])}


def _event(config: Config, finding: SenderFinding) -> ShadowEvent:
    values = _explained(config, finding, finding.samples[-1])
    return ShadowEvent(values["intake"], values["event_timestamp"], values["event"])


def _explained(config: Config, finding: SenderFinding, frame: bytes) -> dict[str, Any]:
    source = ip_address(finding.source.partition("%")[0]) if finding.source else None
    received = utc(finding.last) or datetime.now(UTC)
    explainer = Explainer(
        config, Origin(_listener(config, finding), source), received=received, strict=False,
        router=from_config.router(config), max_reasons=0,
    )  # fmt: skip
    explanation = explainer.explain(Cut(frame, "of a sender"))
    empty = {"intake": None, "event_timestamp": None, "event": None}
    return empty if explanation is None else as_json(explanation)


def _listener(config: Config, finding: SenderFinding) -> Listener:
    """Returns the listener of the port that the messages were sent to, else the first one of the transport."""
    for transport in finding.transports:
        kind, _, port = transport.partition(" ")
        same = [(each, {"udp": each.udp, "tcp": each.tcp}.get(kind)) for each in config.listeners]
        for exact in (True, False):
            for listener, address in same:
                if address and (str(address.port) == port if exact else not port):
                    return listener
    return config.listeners[0]
