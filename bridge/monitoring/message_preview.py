"""Shows recent messages as received, as parsed and as sent, and suggests routes for unrouted ones.

Everything is computed on request from the few messages that ``MessageSamples`` stores. Message text is returned as
JSON; the page that shows it escapes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bridge.config import Config
from bridge.discover import FindingSettings, Received, SenderFinding, find_one
from bridge.explain.explanation import Explainer, Origin, as_json
from bridge.explain.frames import Cut
from bridge.explain.products import Identification, identify
from bridge.explain.route_suggestion import UnroutedSource, suggest_route
from bridge.host.container import in_container
from bridge.ingest.addresses import address_of
from bridge.ingest.message_samples import MessageSample, MessageSamples
from bridge.ingest.peers import Peer, Peers
from bridge.monitoring.sources import SourceList
from bridge.syslog.frames import list_of
from bridge.syslog.framing import datagrams
from bridge.syslog.timestamps import rfc3339

INBOX = 50
"Maximum number of unrouted sources in one response."
IDENTIFIED_AT_ONCE = 5
"Sources whose product is identified in one response: each blocks the reactor for some milliseconds."
MAX_TAIL_MESSAGES = 50
"Messages of a watch in one response: each blocks the reactor for some tenths of a millisecond."
MAX_RAW_MESSAGES = 500
"The same without explanation, which takes some microseconds for each."
REASONS = 20
"Routes that did not match, listed for the last message of a source. A configuration may have ten thousand routes."

JSON = dict[str, object]


@dataclass(frozen=True, slots=True)
class SourceReports:
    """Functions that report on one source."""

    rejections: Callable[[str], list[JSON]]
    "Returns why listeners rejected an address, one row for each listener and reason, the latest first."
    messages: Callable[[Peer], JSON]
    "Returns the shapes of the messages of a source, and whether they have changed."
    usual_rate: Callable[[str], JSON | None] = lambda address: None
    "Returns what is known of the rate of an address, None if it is not watched."
    ended: Callable[..., list[JSON]] = lambda *names: []
    "Returns the computed problems that have ended for any of the names of a source or its intakes."


class MessagePreview:
    """Builds the message views of the status page and the control socket.

    ``config`` returns the configuration in use, and ``peers`` has its routes. ``clock`` returns monotonic seconds.
    """

    def __init__(
        self, config: Callable[[], Config], peers: Peers, message_samples: MessageSamples, sources: SourceList,
        clock: Callable[[], float], reports: SourceReports,
    ) -> None:  # fmt: skip
        self._config = config
        self._peers = peers
        self._message_samples = message_samples
        self._sources = sources
        self._clock = clock
        self._reports = reports
        self._found: dict[Peer, tuple[int, SenderFinding]] = {}
        "What was found out about each source, and the number of the last message that it was found by."

    @property
    def shows_messages(self) -> bool:
        """True if message text may be shown (``admin.show_messages``)."""
        return self._message_samples.on

    # --- one source --------------------------------------------------------------------------------------------------

    def source(self, address: str, listener: str | None) -> JSON:
        """Returns the rows of an address, one per listener that received from it, with its last messages."""
        parsed = address_of(address)
        address = str(parsed) if parsed else address
        rejections, peers = self._reports.rejections(address), self._sources.find(address, listener)
        names = {address, *(name for peer in peers for name in (peer.name, peer.intake) if name)}
        return {
            "address": address,
            "messages_shown": self._message_samples.on,
            "container": in_container(),
            "turned_away": {str(row["listener"]): row["text"] for row in reversed(rejections)},
            "rejections": rejections,
            "usual_rate": self._reports.usual_rate(address),
            "others": self._sources.other_sources(address) if listener is None else None,
            "ended_problems": self._reports.ended(*names),
            "seen": [self._source_row(peer) for peer in peers],
        }

    def _source_row(self, peer: Peer) -> JSON:
        found = self._identified_as(peer)
        return {
            **self._sources.row(peer),
            **self._reports.messages(peer),
            "messages": self._messages(peer),
            "identified": asdict(found) if found else None,
            "suggestion": self._suggestion(peer, found.format if found else None) if _is_unrouted(peer) else None,
        }

    def _messages(self, peer: Peer) -> list[JSON]:
        latest_first = reversed(self._message_samples.of(peer))
        return [self.describe(sample, reasons=0 if n else REASONS) for n, sample in enumerate(latest_first)]

    def _identified_as(self, peer: Peer) -> Identification | None:
        samples = self._message_samples.of(peer)
        return identify([sample.frame for sample in samples]) if samples else None

    def _is_outdated(self, peer: Peer, samples: Sequence[MessageSample]) -> bool:
        """Returns True if the source has more messages than when it was identified, or only later ones."""
        if not samples:
            return False
        number, found = self._found.get(peer, (-1, None))
        return found is None or found.identified.examined < len(samples) or samples[0].number > number

    def _identify(self, peer: Peer, samples: Sequence[MessageSample]) -> None:
        if len(self._found) > 10 * INBOX:
            self._found.clear()
        self._found[peer] = samples[-1].number, self._find(peer, samples)

    def _find(self, peer: Peer, samples: Sequence[MessageSample]) -> SenderFinding:
        """Returns what ``syslog-bridge discover`` would find out by these messages."""
        zone = self._peers.router.zone(
            address_of(peer.relay_address or peer.address), peer.address if peer.relay_address else None
        )
        settings = FindingSettings((zone,) if isinstance(zone, ZoneInfo) else (self._config().timezone,))
        received = [Received(one.frame, peer.address, one.received_ms / 1000, peer.listener) for one in samples]
        return find_one(received, settings)

    def describe(self, sample: MessageSample, *, explained: bool = True, reasons: int = 0) -> JSON:
        """Returns one message: ``received``, ``raw`` and its origin. With ``explained`` also its fields, its route and
        the event; ``reasons`` is the maximum number of routes that did not match."""
        described: JSON = {
            "received": rfc3339(sample.received_ms),
            "source": sample.peer.address,
            "behind": sample.peer.relay_address,
            "listener": sample.peer.listener,
            "raw": sample.frame.decode("utf-8", "backslashreplace"),
            "bytes": sample.length,
            "cut": sample.length > len(sample.frame),
        }
        return described | self._explained(sample, reasons) if explained else described

    def _explained(self, sample: MessageSample, reasons: int) -> JSON:
        config, peer = self._config(), sample.peer
        listener = next((one for one in config.listeners if one.name == peer.listener), None)
        if listener is None:
            return {}
        sender = address_of(peer.relay_address or peer.address)
        explainer = Explainer(
            config, Origin(listener, sender, peer.names, peer.address if peer.relay_address else None),
            received=datetime.fromtimestamp(sample.received_ms / 1000, UTC), strict=False, router=self._peers.router,
            max_reasons=reasons,
        )  # fmt: skip
        explanation = explainer.explain(Cut(list_of(datagrams([sample.frame]))[0], ""))
        if explanation is None:
            return {}
        return {
            **as_json(explanation),
            "zone": explanation.zone,
            "kind": explanation.disposition.kind if explanation.disposition else None,
            "passed_over": [{"route": route, "why": why} for route, why in explanation.passed_over],
            "notes": explanation.notes,
        }

    # --- live messages -----------------------------------------------------------------------------------------------

    def tail(self, name: str, source: str | None, form: str) -> JSON:
        """Returns the messages received since the last call with the same watch ``name``. The first call starts the
        watch, of one ``source`` or of all (None). ``form`` "raw" returns the messages without explanation."""
        parsed = address_of(source) if source else None
        watch = self._message_samples.watch(name, str(parsed) if parsed else source, self._clock())
        if watch is None:
            if not self._message_samples.on:
                return {"error": "messages are not shown (admin.show_messages)"}
            return {"error": "too many watches are active: end another syslog-bridge tail"}
        most = MAX_RAW_MESSAGES if form == "raw" else MAX_TAIL_MESSAGES
        samples = [watch.waiting.popleft() for _ in range(min(most, len(watch.waiting)))]
        missed, watch.missed = watch.missed, 0
        return {"messages": [self.describe(sample, explained=form != "raw") for sample in samples], "missed": missed}

    # --- unrouted messages -------------------------------------------------------------------------------------------

    def inbox(self) -> JSON:
        """Returns the sources whose messages match no route, the busiest first, each with a sample message, the product
        and a suggested route."""
        left = IDENTIFIED_AT_ONCE
        rows: list[JSON] = []
        for peer in self._sources.unrouted(INBOX):
            samples = self._message_samples.of(peer)
            if left and self._is_outdated(peer, samples):
                left -= 1
                self._identify(peer, samples)
            _, finding = self._found.get(peer, (-1, None))
            found = finding and finding.identified
            rows.append(
                {
                    "address": peer.address,
                    "listener": peer.listener,
                    "events": peer.unrouted,
                    "last_seen": rfc3339(peer.last_seen_ms),
                    "sample": samples[-1].frame[:1000].decode("utf-8", "backslashreplace") if samples else None,
                    "guesses": [{"format": found.format, "product": found.product}] if found and found.product else [],
                    "guessed": found is not None,
                    "confidence": found.confidence if found else 0.0,
                    "reason": found.reason if found else "",
                    "runner_up": found.runner_up if found else None,
                    "matched": found.matched if found else 0,
                    "examined": found.examined if found else 0,
                    "relay_of": len(finding.devices) if finding and finding.relay else 0,
                    "clock": finding.clock.text if finding else "",
                    "timezone_candidates": list(finding.clock.candidates) if finding else [],
                    **self._suggestion(peer, found.format if found else None),
                }
            )
        return {"unrouted": rows, "total": self._sources.counts()["unrouted"]}

    def _suggestion(self, peer: Peer, text_format: str | None) -> JSON:
        source = UnroutedSource(peer.address, peer.listener, peer.relay_address)
        return suggest_route(self._config(), source, text_format).as_json()


def _is_unrouted(peer: Peer) -> bool:
    """Returns True if messages of a source matched no route, and some may still match none."""
    if not peer.decided:
        peer.decide()
    return peer.unrouted > 0 and peer.profile.rules[-1].disposition.kind == "hold"


def bounded_number(query: Mapping[str, str], name: str, low: int, high: int, default: int) -> int:
    """Returns the number of a query parameter, limited to ``low`` to ``high``; the default if it is not a number."""
    text = query.get(name, "")
    return min(high, max(low, int(text))) if text.isascii() and text.isdigit() and len(text) < 10 else default
