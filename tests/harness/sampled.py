"""Samples the messages of sources as the pipeline does, without a spool, so that days of traffic take seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Any

from bridge.ingest.message_samples import MessageSamples
from bridge.ingest.peers import Peer, Peers
from bridge.ingest.shape_changes import ShapeChanges
from bridge.routing import Router
from bridge.syslog.timestamps import TimeReader

NOON_MS = 1_795_435_200_000
"23 November 2026"


@dataclass
class SampledIntake:
    """An intake with a text format."""

    format: str | None = None
    payload: str | None = None
    encoding: str = "auto"
    timestamp: str | None = None
    endpoint: str = "/plain/batch"


class _Unrouted:
    kind, intake = "intake", "all"


def router(text_format: str | None) -> Router:
    """Returns a router that sends everything to the intake ``all``."""
    intakes: dict[str, Any] = {"all": SampledIntake(text_format)}
    return Router(routes=(), intakes=intakes, listeners={"udp": "all"}, unrouted=_Unrouted(), timezone=UTC)  # type: ignore[arg-type]


class SampledSources:
    """Sources whose messages are only sampled. The time passes by ``pass_ms``."""

    def __init__(self, text_format: str | None = None, *, shows: bool = True) -> None:
        self.samples = MessageSamples(on=shows)
        self.changes = ShapeChanges(self.samples)
        self.peers = Peers(router(text_format))
        self.now_ms = NOON_MS
        self.ended: list[str] = []
        self._reader = TimeReader()

    def pass_ms(self, passed: float) -> None:
        """Lets time pass."""
        self.now_ms += round(passed)

    def peer(self, address: str = "192.0.2.7") -> Peer:
        """Returns a source."""
        return self.peers.get("udp", address)

    def take(self, peer: Peer, frames: list[bytes]) -> None:
        """Takes one read."""
        if not peer.decided:
            peer.decide()
        if not peer.note_read(len(frames), self.now_ms):
            return
        silent_ms = self.now_ms - peer.sampled if peer.sampled else 0
        header = peer.sample(frames[-1], self.now_ms, self._reader)
        self.changes.note(peer, frames, (frames[-1], header), self.now_ms, silent_ms)
        self.samples.note(peer, frames[-1], self.now_ms)

    def look(self, peer: Peer) -> bool:
        """Does what is done every few seconds; returns True if a change of the source is confirmed."""
        self.ended += [reason for _, reason in self.changes.look(self.peers, self.now_ms)]
        return peer in self.changes.confirmed()
