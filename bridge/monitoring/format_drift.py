"""Reports sources whose messages have changed, such as after a firmware update, and names the format that fits now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge import formats
from bridge.explain.products import identify
from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.peers import Peer, Peers
from bridge.ingest.shape_changes import FORGOTTEN, OVER, RECONFIGURED, USUAL, ShapeChanges
from bridge.ingest.shape_history import MessageKind, SuspectedChange
from bridge.monitoring.alarms import Alarms
from bridge.syslog.timestamps import rfc3339

EVERY = 5.0
"Seconds between two checks."
IDENTIFIED_AT_ONCE = 3
"Sources whose format is looked for in one check: each blocks the reactor for some milliseconds."
MAX_ROWS = 100
"Maximum number of rows in one response."

JSON = dict[str, object]

_ENDED = {
    OVER: "sends the messages of before again",
    RECONFIGURED: "has another intake or format now",
    USUAL: "has sent its new messages for a day, which count as usual from now on",
    FORGOTTEN: "is not known any more",
}


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Report about a changed source: the format and the product of its new messages, if they are certain, and
    the text and remedy of the alarm."""

    format: str | None
    product: str | None
    text: str = ""
    remedy: str = ""


class FormatDrift:
    """Raises an alarm for each source whose messages have changed. ``wall`` returns seconds since the epoch."""

    def __init__(
        self, alarms: Alarms, changes: ShapeChanges, peers: Peers, message_samples: MessageSamples,
        wall: Callable[[], float],
    ) -> None:  # fmt: skip
        self._alarms = alarms
        self._changes = changes
        self._peers = peers
        self._message_samples = message_samples
        self._wall = wall
        self._reports: dict[Peer, DriftReport] = {}

    def look(self) -> None:
        """Raises and ends the alarms."""
        now_ms = int(self._wall() * 1000)
        ended = self._changes.look(self._peers, now_ms)
        confirmed = self._changes.confirmed()
        addresses = {peer.address for peer in confirmed}
        for peer, reason in ended:
            self._reports.pop(peer, None)
            if peer.address not in addresses:
                self._alarms.off("drift", peer.address, f"source {_name(peer)} {_ENDED[reason]}")
        for peer in [each for each in confirmed if each not in self._reports][:IDENTIFIED_AT_ONCE]:
            report = self._reports[peer] = self._new_report(peer, confirmed[peer])
            hint = f'. "syslog-bridge why {peer.address}" shows a message before and after'
            self._alarms.on("drift", peer.address, report.text, remedy=report.remedy + hint)

    def rows(self) -> list[JSON]:
        """Returns the changed sources, without the text of their messages."""
        return [self._row(peer, change) for peer, change in self._reported().items()][:MAX_ROWS]

    def _reported(self) -> dict[Peer, SuspectedChange]:
        return {peer: change for peer, change in self._changes.confirmed().items() if peer in self._reports}

    def report(self, peer: Peer) -> JSON:
        """Returns what is known of one source's messages: ``shapes``, ``format_mismatch_share`` and ``drift``, which
        has a message before and after the change."""
        change = self._reported().get(peer)
        shares = self._shares(peer, change)
        compared = sum(share for kind, share in shares if kind.fits is not None)
        mismatched = sum(share for kind, share in shares if kind.fits is False)
        shown = change is not None and self._message_samples.on
        return {
            "shapes": [
                {"shape": kind.layout.shape, "text": kind.layout.text, "matches_format": kind.fits, "share": share}
                for kind, share in shares
            ],
            "format_mismatch_share": round(mismatched / compared, 3) if compared else None,
            "drift": None if change is None else self._row(peer, change) | {
                "before": _shown(change.before) if shown else None,
                "after": _shown(change.after) if shown else None,
            },
        }  # fmt: skip

    def _shares(self, peer: Peer, change: SuspectedChange | None) -> list[tuple[MessageKind, float]]:
        """Returns the kinds of messages of a source with their shares: those since the change, if there is one."""
        if change is None:
            history = self._changes.history(peer)
            return history.shares() if history else []
        return [(kind, round(count / change.total, 3)) for kind, count in change.kinds.most_common()]

    def _row(self, peer: Peer, change: SuspectedChange) -> JSON:
        old, new = change.main_kind.layout, change.new_kind.layout
        intake, text_format = change.disposition
        report = self._reports[peer]
        return {
            "address": peer.address,
            "listener": peer.listener,
            "name": peer.name,
            "intake": intake,
            "format": text_format,
            "since": rfc3339(change.began_ms),
            "old_shape": old.words(new),
            "new_shape": new.words(old),
            "sampled": change.total,
            "mismatches": _mismatches(change),
            "fitting_format": report.format,
            "product": report.product,
            "text": report.text,
            "remedy": report.remedy,
        }

    def _new_report(self, peer: Peer, change: SuspectedChange) -> DriftReport:
        old, new = change.main_kind.layout, change.new_kind.layout
        intake, text_format = change.disposition
        fitting, product = self._fitting_format(peer, change)
        began = datetime.fromtimestamp(change.began_ms / 1000, UTC)
        text = f"the messages of source {_name(peer)} have changed since {began:%H:%M:%S} UTC"
        if mismatches := _mismatches(change):
            text += f": {mismatches} of {change.total} sampled events do not match format {text_format}"
            text += f" of intake {intake}, so its parser probably cannot read them"
        if new != old:
            text += f"; their shape is {new.words(old)} instead of {old.words(new)}"
        if fitting:
            text += f"; they are of format {fitting} ({product})"
        where = f"an intake with format {fitting}" if fitting else "another intake"
        remedy = f"restore the log format on the device or, if the change is wanted, route it to {where}"
        return DriftReport(fitting, product, text, remedy)

    def _fitting_format(self, peer: Peer, change: SuspectedChange) -> tuple[str | None, str | None]:
        """Returns the format and the product of the latest messages, None if they are not certain."""
        since = [sample.frame for sample in self._message_samples.of(peer) if sample.received_ms >= change.began_ms]
        frames = since or ([change.after] if change.after else [])
        if not frames:
            return None, None
        current = formats.find(change.disposition[1]).name if change.disposition[1] else None
        found = identify(frames)
        return (None if found.format == current else found.format), found.product


def _mismatches(change: SuspectedChange) -> int:
    return sum(count for kind, count in change.kinds.items() if kind.fits is False)


def _name(peer: Peer) -> str:
    return f"{peer.name} ({peer.address})" if peer.decided and peer.name else peer.address


def _shown(frame: bytes | None) -> str | None:
    return None if frame is None else frame.decode("utf-8", "backslashreplace")
