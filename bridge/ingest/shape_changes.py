"""Watches the samples of all sources for changes of their messages, such as after a firmware update.

Works on the messages that are sampled anyway. While a source is learned or suspected, more messages of its reads are
examined. Each read of a source that is learned is sampled, and a suspected source twice a second. These are at most
``EXTRA_PER_SECOND`` messages of all sources. A source takes
about 300 bytes; a source with fewer than ``LEAST_EVENTS`` events, such as a forged one, takes none.
"""

from collections.abc import Iterator, Mapping

from bridge import batching, formats
from bridge.batching import GroupLimits
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.peers import EXTRA_PER_SECOND, SAMPLE_MS, Peer, Peers
from bridge.ingest.shape_history import DAY_MS, EXAMINED, MessageKind, ShapeHistory, SuspectedChange, layout_of
from bridge.routing import Disposition, Profile
from bridge.syslog import parser
from bridge.syslog.frames import Frames, block_of, list_of
from bridge.syslog.grammar import Header
from bridge.syslog.intake_key import masked
from bridge.syslog.reader import read_columns
from bridge.syslog.timestamps import TimeReader

LEAST_EVENTS = 5
"Events from which a source is learned."
MOST_HISTORIES = 20_000
"Sources that are learned. Addresses can be forged."
MOST_A_READ = 50
"Messages of one read that are examined while a source is learned or suspected."
MOST_SUSPECTED = 500
"Suspected and confirmed changes of all sources. Further ones are not watched until others end."
SHOWN = 2048
"Bytes that are kept of a message before and after a change."
UNCONFIRMED_MS = 7 * DAY_MS
"Time after which a change that was not confirmed is given up."

OVER, RECONFIGURED, USUAL, FORGOTTEN = "over", "reconfigured", "usual", "forgotten"
"""Why a confirmed change ended: the earlier messages come again; the intake or its format was changed; the new messages
have come for a day; the source is no longer known."""


class ShapeChanges:
    """Holds the history of each source, and the changes that are suspected or confirmed.

    ``message_samples`` has the latest messages of each source, if messages may be shown.
    """

    def __init__(self, message_samples: MessageSamples) -> None:
        self._message_samples = message_samples
        self._histories: dict[Peer, ShapeHistory] = {}
        self._changes: dict[Peer, SuspectedChange] = {}
        self._ended: list[tuple[Peer, str]] = []
        self._targets: dict[Profile, int] = {}
        self._router: object = None
        self._reader, self._limits = TimeReader(), GroupLimits()
        self._second = self._extra = 0

    def history(self, peer: Peer) -> ShapeHistory | None:
        """Returns what is known of a source's messages."""
        return self._histories.get(peer)

    def confirmed(self) -> Mapping[Peer, SuspectedChange]:
        """Returns the confirmed changes."""
        return {peer: change for peer, change in self._changes.items() if change.confirmed_ms is not None}

    # --- samples -----------------------------------------------------------------------------------------------------

    def note(self, peer: Peer, frames: Frames, sample: tuple[bytes, Header], now_ms: int, silent_ms: int) -> None:
        """Examines the sampled frame of a read, with its header, and others of ``frames`` if the source needs it.

        ``silent_ms`` is the time since the source was sampled last.
        """
        history = self._histories.get(peer)
        target = self._target(peer.profile)
        if history is None or history.target != target:
            if peer.events < LEAST_EVENTS or (history is None and len(self._histories) >= MOST_HISTORIES):
                return
            history = self._histories[peer] = ShapeHistory(target, now_ms, peer.events)
            self._end(peer, RECONFIGURED)
        self._examine(peer, history, *sample, now_ms, silent_ms)
        change = self._changes.get(peer)
        suspected = change is not None and change.confirmed_ms is None
        learned = history.is_learned(now_ms)
        if suspected or not learned:
            for frame in self._others(frames, now_ms):
                self._examine(peer, history, frame, parser.read(frame[:EXAMINED]), now_ms, silent_ms)
        if change is None:
            history.note_usual(now_ms, peer.events)
        if (suspected or not learned) and self._spend(1, now_ms):
            peer.sample_soon(0 if not learned else SAMPLE_MS // 2)

    def _others(self, frames: Frames, now_ms: int) -> Iterator[bytes]:
        """Returns other frames of a read than the last, spread over all, as many as may be examined."""
        others = [frame for frame in list_of(frames)[:-1] if frame]
        count = self._spend(min(len(others), MOST_A_READ - 1), now_ms)
        return (others[number * len(others) // count] for number in range(count))

    def _spend(self, count: int, now_ms: int) -> int:
        """Returns how many of ``count`` further messages may be examined in this second."""
        if now_ms // 1000 != self._second:
            self._second, self._extra = now_ms // 1000, EXTRA_PER_SECOND
        allowed = min(count, self._extra)
        self._extra -= allowed
        return allowed

    def _examine(
        self, peer: Peer, history: ShapeHistory, frame: bytes, header: Header, now_ms: int, silent_ms: int
    ) -> None:
        layout = layout_of(frame, header)
        change, learned = self._changes.get(peer), history.is_learned(now_ms)
        if change is None and learned and history.skips(layout, silent_ms):
            return
        disposition, fits = self._compare(peer, frame, now_ms)
        if disposition is None:
            return
        kind = MessageKind(layout, fits)
        if change is None:
            change = self._suspect(peer, history, kind, now_ms) if learned else None
            if change is None:
                history.learn(kind, now_ms)
                return
        if change.note(kind, history):
            change.disposition = disposition.intake, disposition.format
            if self._message_samples.on:
                change.after = masked(frame)[:SHOWN]
        self._judge(peer, history, change, now_ms)

    def _suspect(self, peer: Peer, history: ShapeHistory, kind: MessageKind, now_ms: int) -> SuspectedChange | None:
        new = history.is_new(kind)
        if not new and not (kind.fits is False and history.is_long_run(now_ms)):
            return None
        if len(self._changes) >= MOST_SUSPECTED:
            return None
        kept = self._message_samples.of(peer)
        before = kept[-1].frame[:SHOWN] if kept and new else None
        change = SuspectedChange(history.main, now_ms, peer.events, before, known=not new)
        self._changes[peer] = change
        return change

    def _judge(self, peer: Peer, history: ShapeHistory, change: SuspectedChange, now_ms: int) -> None:
        """Confirms or ends a change."""
        if change.is_over:
            self._end(peer, OVER)
            history.learn_new(change.kinds, now_ms, at_once=change.confirmed_ms is not None)
        elif change.confirmed_ms is None:
            if history.confirms(change, now_ms):
                change.confirm(now_ms)
            elif not 0 <= now_ms - change.began_ms < UNCONFIRMED_MS:
                self._end(peer, OVER)
        elif now_ms - change.confirmed_ms >= DAY_MS:
            self._end(peer, USUAL)
            self._histories[peer] = ShapeHistory(history.target, now_ms, peer.events)

    def _end(self, peer: Peer, reason: str) -> None:
        change = self._changes.pop(peer, None)
        if change is not None and change.confirmed_ms is not None:
            self._ended.append((peer, reason))

    def _compare(self, peer: Peer, frame: bytes, now_ms: int) -> tuple[Disposition | None, bool | None]:
        """Returns the disposition of a frame if it is delivered, and whether its event matches the format."""
        columns = read_columns(block_of([frame[:EXAMINED]]), peer.profile.needs)
        if not columns.count:
            return None, None
        with peer.profile.not_counting():
            ((disposition, rows),) = peer.profile.assign(columns)
        if disposition.kind != "deliver":
            return None, None
        if disposition.format is None:
            return disposition, None
        grouped = batching.group(
            rows, disposition, reader=self._reader, received_ms=now_ms, limits=self._limits, peer=peer.encoded,
            listener=peer.listener,
        )  # fmt: skip
        if not grouped.sampled:
            return disposition, None
        if grouped.mismatched:
            return disposition, False
        return disposition, None if formats.find(disposition.format).weak else True

    def _target(self, profile: Profile) -> int:
        target = self._targets.get(profile)
        if target is None:
            dispositions = [rule.disposition for rule in profile.rules]
            target = self._targets[profile] = hash(
                tuple((each.kind, each.intake, each.format, each.payload) for each in dispositions)
            )
        return target

    # --- periodic ----------------------------------------------------------------------------------------------------

    def look(self, peers: Peers, now_ms: int) -> list[tuple[Peer, str]]:
        """Confirms and ends changes of sources that have not sent since, and forgets removed sources.

        Returns the confirmed changes that have ended since the last call, with the reason.
        """
        if peers.router is not self._router:
            self._router = peers.router
            self._targets.clear()
        known = set(peers.all())
        for peer in [each for each in self._histories if each not in known]:
            del self._histories[peer]
            self._end(peer, FORGOTTEN)
        for peer, change in list(self._changes.items()):
            if not peer.decided:
                peer.decide()
            history = self._histories[peer]
            if history.target == self._target(peer.profile):
                self._judge(peer, history, change, now_ms)
            else:
                del self._histories[peer]
                self._end(peer, RECONFIGURED)
            if not self._message_samples.on:
                change.forget_messages()
        ended, self._ended = self._ended, []
        return ended
