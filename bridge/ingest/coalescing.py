"""Small reads of one reactor turn, read as one: a thousand slow connections bring a message each, and what a read costs
besides its messages would be most of it.

What is gathered is appended before the turn ends, so the account is as exact as without. Order holds within a
connection: who takes frames of one in another way calls ``flush`` first. Gathered are only reads of peers that may be
read together (``Peer.mergeable``), and none while a full intake would make its sender wait: one of many could not be
told apart.
"""

from collections.abc import Callable
from typing import Any

from bridge.ingest.peers import Peer
from bridge.ingest.pipeline import Pipeline
from bridge.syslog.frames import Frames


class Coalescer:
    """What this turn has brought so far. ``after_turn`` calls something once, when all that is readable is read."""

    SMALL = 2048
    "Bytes: a longer read is worth its own way."
    ENOUGH = 65_536
    "Bytes: what is gathered is read when it is so much."

    def __init__(self, pipeline: Pipeline, after_turn: Callable[[Callable[[], None]], None]) -> None:
        self._pipeline = pipeline
        self._after_turn = after_turn
        self._waiting = False
        self._size = 0
        self._blocks: dict[Peer, list[bytes]] = {}

    @classmethod
    def on(cls, reactor: Any, pipeline: Pipeline) -> "Coalescer | None":
        """One for a reactor whose turns have an end (``bridge.host.reactor``); None for any other."""
        after_turn = getattr(reactor, "after_turn", None)
        return None if after_turn is None else cls(pipeline, after_turn)

    def takes(self, peer: Peer, frames: Frames) -> bool:
        """Whether these are gathered; if not, all that was is on the road before them."""
        if len(frames) > self.SMALL or not isinstance(frames, bytes) or not self._may(peer):
            self.flush()
            return False
        blocks = self._blocks.get(peer)
        if blocks is None:
            self._blocks[peer] = [frames]
        else:
            blocks.append(frames)
        self._size += len(frames)
        if self._size > self.ENOUGH:
            self.flush()
        elif not self._waiting:
            self._waiting = True
            self._after_turn(self._turn_ended)
        return True

    def _may(self, peer: Peer) -> bool:
        if not peer.decided:
            peer.decide()
        return peer.mergeable and not self._pipeline.spool_writer.pauses

    def flush(self) -> None:
        """All that was gathered goes its way."""
        if self._blocks:
            blocks, self._blocks, self._size = self._blocks, {}, 0
            self._pipeline.take_blocks(blocks)

    def _turn_ended(self) -> None:
        self._waiting = False
        self.flush()
