"""Shows recent messages: as received, as read, as sent; and suggests routes for unrouted ones.

Everything is computed on request, from the few messages that ``MessageSamples`` keeps. Message text leaves as JSON; the
page that shows it escapes it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from bridge import formats
from bridge.config import Config
from bridge.explain import payloads
from bridge.explain.explanation import Explainer, as_json
from bridge.explain.frames import Cut
from bridge.formats import Format
from bridge.ingest.message_samples import MessageSample, MessageSamples, SampleWatch
from bridge.ingest.peers import Peer, Peers, address_of
from bridge.monitoring.sources import SourceList
from bridge.syslog.frames import list_of
from bridge.syslog.framing import datagrams
from bridge.syslog.timestamps import rfc3339

INBOX = 50
"Unrouted senders that are shown."
GUESSES = 3
"Products guessed in one answer: each takes some milliseconds of the reactor."
MOST_TOLD = 50
"Messages of a watch in one answer; each takes some tenths of a millisecond of the reactor."
REASONS = 20
"Routes passed over that are told of the last message of a sender: there may be ten thousand."

JSON = dict[str, object]


class MessagePreview:
    """``config`` gives the configuration in use, ``peers`` have its routes; ``clock`` rises steadily, in seconds."""

    def __init__(
        self, config: Callable[[], Config], peers: Peers, message_samples: MessageSamples, sources: SourceList,
        clock: Callable[[], float], rejected: Callable[[str], dict[str, str]],
    ) -> None:  # fmt: skip
        self._config = config
        self._peers = peers
        self._message_samples = message_samples
        self._sources = sources
        self._clock = clock
        self._turned_away = rejected
        self._guesses: dict[Peer, list[Format]] = {}

    @property
    def shows_messages(self) -> bool:
        """Whether what senders wrote may be shown."""
        return self._message_samples.on

    # --- one source --------------------------------------------------------------------------------------------------

    def source(self, address: str, listener: str | None) -> JSON:
        """An address at each listener where it was seen, with its last messages."""
        parsed = address_of(address)
        address = str(parsed) if parsed else address
        return {
            "address": address,
            "messages_shown": self._message_samples.on,
            "turned_away": self._turned_away(address),
            "others": self._sources.others(address) if listener is None else None,
            "seen": [
                self._sources.row(peer) | {"messages": self._messages(peer)}
                for peer in self._sources.find(address, listener)
            ],
        }

    def _messages(self, peer: Peer) -> list[JSON]:
        latest_first = list(reversed(self._message_samples.of(peer)))
        return [self.told(one, reasons=0 if place else REASONS) for place, one in enumerate(latest_first)]

    def told(self, sample: MessageSample, *, explained: bool = True, reasons: int = 0) -> JSON:
        """One message: ``received`` and ``raw``; explained also its fields, its route and the event."""
        told: JSON = {
            "received": rfc3339(sample.received_ms),
            "source": sample.peer.address,
            "listener": sample.peer.listener,
            "raw": sample.frame.decode("utf-8", "backslashreplace"),
            "bytes": sample.length,
            "cut": sample.length > len(sample.frame),
        }
        return told | self._explained(sample, reasons) if explained else told

    def _explained(self, sample: MessageSample, reasons: int) -> JSON:
        config, peer = self._config(), sample.peer
        listener = next((one for one in config.listeners if one.name == peer.listener), None)
        if listener is None:
            return {}
        explainer = Explainer(
            config, listener=listener, source=address_of(peer.behind or peer.address),
            received=datetime.fromtimestamp(sample.received_ms / 1000, UTC), strict=False,
            client=peer.names, router=self._peers.router,
            host=peer.address if peer.behind else None, most_reasons=reasons,
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

    # --- somebody looks on -------------------------------------------------------------------------------------------

    def tail(self, name: str, source: str | None, form: str) -> JSON:
        """What has come since the same looker-on last asked. Begins to look with the first call."""
        parsed = address_of(source) if source else None
        watch = self._message_samples.watch(name, str(parsed) if parsed else source, self._clock())
        if watch is None:
            return {
                "error": "messages are not shown (admin.show_messages)"
                if not self._message_samples.on
                else "too many look"
            }
        return {
            "messages": [self.told(one, explained=form != "raw") for one in _taken(watch)],
            "missed": _missed(watch),
        }

    # --- the unrouted ------------------------------------------------------------------------------------------------

    def inbox(self) -> JSON:
        """Senders of what no route matches, the busiest first: a sample, the product it looks like, a route."""
        left = GUESSES
        rows: list[JSON] = []
        for peer in self._sources.unrouted(INBOX):
            last = next(iter(reversed(self._message_samples.of(peer))), None)
            if last is not None and peer not in self._guesses and left:
                left -= 1
                if len(self._guesses) > 10 * INBOX:
                    self._guesses.clear()
                self._guesses[peer] = self._guess(last)
            guessed = self._guesses.get(peer, [])
            rows.append(
                {
                    "address": peer.address,
                    "listener": peer.listener,
                    "events": peer.unrouted,
                    "last_seen": rfc3339(peer.last_seen_ms),
                    "sample": None if last is None else last.frame[:1000].decode("utf-8", "backslashreplace"),
                    "guesses": [{"format": one.name, "product": one.product} for one in guessed],
                    "guessed": peer in self._guesses,
                    "route": self._route(peer, guessed),
                }
            )
        return {"unrouted": rows, "total": self._sources.counts()["unrouted"]}

    def _guess(self, sample: MessageSample) -> list[Format]:
        received = datetime.fromtimestamp(sample.received_ms / 1000, UTC)
        around = payloads.FrameContext(received, listener=sample.peer.listener, peer=sample.peer.encoded)
        found = [one for one in payloads.look_alikes(sample.frame, around) if not one.weak]
        # What there is an intake for is the likeliest.
        known = {formats.find(intake.format).name for intake in self._config().intakes.values() if intake.format}
        return sorted(found, key=lambda one: one.name not in known)[:3]

    def _route(self, peer: Peer, guessed: list[Format]) -> str:
        """A route for the sender, to paste into the configuration."""
        intakes = self._config().intakes
        chosen = next(
            (n for one in guessed for n, i in intakes.items() if i.format and formats.find(i.format) is one), None
        )
        if chosen is not None:
            intake = f"intake: {chosen}"
        elif len(intakes) == 1:
            intake = f"intake: {next(iter(intakes))}"
        else:
            such = f"an intake with format: {guessed[0].name}" if guessed else f"one of {', '.join(list(intakes)[:6])}"
            intake = f"intake: NAME  # {such}"
        return f'routes:\n  - name: from-{_slug(peer.address)}\n    source: "{_slug(peer.address)}"\n    {intake}\n'


def _slug(address: str) -> str:
    # An address, unless a relay's hostname stands for it: that is the sender's own text.
    return "".join(c for c in address if c.isalnum() or c in ".:-_")[:60]


def _taken(watch: SampleWatch) -> list[MessageSample]:
    return [watch.waiting.popleft() for _ in range(min(MOST_TOLD, len(watch.waiting)))]


def _missed(watch: SampleWatch) -> int:
    missed, watch.missed = watch.missed, 0
    return missed


def asked(query: Mapping[str, str], name: str, low: int, high: int, default: int) -> int:
    """A number of a query, within its bounds; what is none is the default."""
    text = query.get(name, "")
    return min(high, max(low, int(text))) if text.isascii() and text.isdigit() and len(text) < 10 else default
