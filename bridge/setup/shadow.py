"""Compares what the bridge would deliver with what an imported forwarder sends, for each sender, without touching any.

The forwarder is imported. Its intakes get the format of their senders if all of an intake's senders are identified as
products of one format. From the same messages, both sides are then computed: with the forwarder's rules and templates
on what its own parser reads, and with the imported configuration.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bridge.config import Listener, load
from bridge.discover import SampleOrigin, SenderFinding
from bridge.discover.changes import receives
from bridge.discover.clock_evidence import utc
from bridge.explain.explanation import Explainer, Origin, as_json
from bridge.explain.frames import Cut
from bridge.ingest import from_config
from bridge.ingest.addresses import address_of
from bridge.setup.import_result import Imported
from bridge.setup.sent_event import NotComputed
from bridge.syslog import parse
from bridge.syslog.framing import datagrams
from bridge.syslog.reader import read_columns
from bridge.util.counts import counted

_NOTHING: Mapping[str, Any] = dict.fromkeys(("intake", "event", "event_timestamp", "timestamp"))
_SAME_TIME = timedelta(seconds=10)
"Times that differ by less are the same: clocks are some seconds off, and a message is some time under way."


@dataclass(frozen=True, slots=True)
class ShadowEvent:
    """Describes one message as it is delivered. No key is shown."""

    intake: str | None = None
    "None if the message is not delivered."
    time: datetime | None = None
    "None if it is that of reception, which the capture does not tell."
    text: str | None = None
    "None if it is not computed."
    note: str = ""
    "Why the message is not delivered, why its text is not computed, or what is wrong with it."


@dataclass(frozen=True, slots=True)
class ShadowPair:
    """Holds the events that both sides make of one message."""

    forwarder: ShadowEvent
    bridge: ShadowEvent

    @property
    def differences(self) -> list[str]:
        """Returns what differs: ``intake``, ``time``, ``text``. The text may differ in blanks at its ends."""
        one, other = self.forwarder, self.bridge
        if one.intake != other.intake:
            return ["intake"]
        found = []
        if one.time is not None and other.time is not None and abs(one.time - other.time) >= _SAME_TIME:
            found.append("time")
        if one.text is not None and other.text is not None and one.text.strip() != other.text.strip():
            found.append("text")
        return found


@dataclass(frozen=True, slots=True)
class ShadowRow:
    """Compares the examined messages of a sender."""

    finding: SenderFinding
    pairs: Sequence[ShadowPair]

    @property
    def differences(self) -> dict[str, int]:
        """Returns the number of messages for each kind of difference."""
        return dict(Counter(name for pair in self.pairs for name in pair.differences))

    @property
    def shown(self) -> ShadowPair:
        """Returns the pair with the most differences."""
        return max(self.pairs, key=lambda pair: len(pair.differences))


@dataclass(frozen=True, slots=True)
class Shadow:
    """Holds the comparison, and the imported configuration with the formats that were found."""

    imported: Imported
    rows: Sequence[ShadowRow]
    notes: Sequence[str]


def shadow_of(imported: Imported, name: str, findings: Sequence[SenderFinding]) -> Shadow:
    """Compares an imported forwarder with the findings. ``name`` is that of its configuration file. Raises OSError."""
    before = _ComparedConfiguration(imported, name)
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
    after = _ComparedConfiguration(found, name)
    rows = [ShadowRow(finding, list(after.pairs(finding))) for finding in findings if finding.samples]
    if after.assumed:
        many = f"{after.assumed:,} of the examined messages do not tell the port that they were sent to"
        notes.insert(0, f"{many}. They are compared as if it were that of listener {after.first}")
    return Shadow(found, rows, notes)


class _ComparedConfiguration:
    """Computes both sides with an imported configuration, which is loaded without its keys and certificates."""

    def __init__(self, imported: Imported, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "bridge.yaml"
            file.write_text(imported.as_yaml(name))
            self._config = load(file, secrets=False)
        self._router = from_config.router(self._config)
        self._imported = imported
        self._reads_rfc5424 = {port.name: port.reads_rfc5424 for port in imported.ports}
        self.assumed = 0
        "Number of messages whose port is not known, although it decides."

    @property
    def first(self) -> str:
        """Returns the name of the listener that is assumed for messages whose port is not known."""
        return self._config.listeners[0].full_name

    def intakes(self, finding: SenderFinding) -> set[str]:
        """Returns the intakes that the bridge would deliver the messages of a sender to."""
        found: set[str] = set()
        for frame, origin in zip(finding.samples, finding.origins, strict=True):
            if (listener := self._listener(origin.transport)) is None:
                continue
            profile = self._router.profile(listener.full_name, address_of(finding.source))
            for disposition, _ in profile.assign(read_columns(datagrams([frame]), profile.needs | {"raw"})):
                if disposition.kind == "deliver" and disposition.intake:
                    found.add(disposition.intake)
        return found

    def pairs(self, finding: SenderFinding) -> Iterator[ShadowPair]:
        """Yields both events of each examined message of a sender."""
        for frame, origin in zip(finding.samples, finding.origins, strict=True):
            listener = self._listener(origin.transport)
            if listener is None:
                elsewhere = ShadowEvent(note=f"it was sent to {origin.transport}, where the forwarder does not listen")
                yield ShadowPair(elsewhere, elsewhere)
                continue
            self.assumed += len(self._config.listeners) > 1 and not _names_port(origin.transport)
            values = self._explained(finding, listener, frame, origin)
            yield ShadowPair(self._sent(finding.source, listener, frame, origin), _delivered(values, origin))

    def _sent(self, source: str, listener: Listener, frame: bytes, origin: SampleOrigin) -> ShadowEvent:
        """Returns the event of the forwarder. Times without a zone have that of the imported configuration."""
        read = self._imported.reader(frame, source, self._reads_rfc5424[listener.full_name])
        disposition = self._router.profile(listener.full_name, address_of(source)).find(read.facts)
        intake = disposition.intake
        if disposition.kind != "deliver" or intake is None:
            return ShadowEvent(note="none of its rules sends it")
        try:
            event = read.sent(self._imported.intakes[intake].template)
        except NotComputed as error:
            return ShadowEvent(intake, note=f"its text is not computed: {error}")
        received = utc(origin.time) or datetime.now(UTC)
        header = b"<13>%b host tag: text" % event.time
        zone = self._router.zone(address_of(source))
        time = parse(header, received=received, timezone=zone).timestamp if event.time else None
        text = event.text.decode("utf-8", "backslashreplace")
        return ShadowEvent(intake, time or utc(origin.time), text, event.note)

    def _explained(
        self, finding: SenderFinding, listener: Listener, frame: bytes, origin: SampleOrigin
    ) -> Mapping[str, Any]:  # fmt: skip
        explainer = Explainer(
            self._config, Origin(listener, address_of(finding.source)), received=utc(origin.time) or datetime.now(UTC),
            strict=False, router=self._router, max_reasons=0,
        )  # fmt: skip
        explanation = explainer.explain(Cut(frame, "of a sender"))
        return _NOTHING if explanation is None else as_json(explanation)

    def _listener(self, transport: str) -> Listener | None:
        """Returns the listener of a port, or the first one of a transport. None if none has the port."""
        listeners = self._config.listeners
        if found := next((each for each in listeners if receives(each, transport)), None):
            return found
        return None if _names_port(transport) else listeners[0]


def _names_port(transport: str) -> bool:
    return transport.rpartition(" ")[2].isdigit()


def _delivered(values: Mapping[str, Any], origin: SampleOrigin) -> ShadowEvent:
    if values["event"] is None:
        return ShadowEvent(values["intake"], note="no route takes it")
    untimed = origin.time is None and values["timestamp"] is None
    return ShadowEvent(values["intake"], None if untimed else _moment(values["event_timestamp"]), values["event"])


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


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
