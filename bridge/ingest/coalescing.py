"""Coalesces the small reads of one reactor turn into one read.

If a thousand slow connections bring one message each, the fixed cost per read exceeds the cost of the messages.

The coalesced reads are appended before the reactor turn ends, so the ledger stays exact. Order is kept within a
connection: a caller that takes frames of a connection in another way calls ``flush`` first. Only reads of peers that
may be read together (``Peer.mergeable``) are coalesced, and none while a full intake pauses its senders, because one
sender of many could not be told apart.
"""

from collections.abc import Callable

from bridge.host.interfaces import Reactor
from bridge.ingest.peers import Peer
from bridge.ingest.pipeline import Pipeline
from bridge.syslog.frames import Frames


class Coalescer:
    """Collects the small reads of the current reactor turn.

    ``after_turn`` schedules one call of a function for the end of the turn, after all readable sockets were read.
    """

    MAX_READ = 16_384
    "Bytes of the longest read that is coalesced."
    FLUSH_SIZE = 1 << 20
    "Collected bytes above which the reads are flushed before the turn ends."

    FLUSH_FRAMES = 2048
    "Collected frames above which the reads are flushed before the turn ends: tiny frames cost as much as others."

    def __init__(self, pipeline: Pipeline, after_turn: Callable[[Callable[[], None]], None]) -> None:
        self._pipeline = pipeline
        self._after_turn = after_turn
        self._scheduled = False
        self._size = self._frames = 0
        self._blocks: dict[Peer, list[bytes]] = {}

    @classmethod
    def for_reactor(cls, reactor: Reactor, pipeline: Pipeline) -> "Coalescer | None":
        """Creates a coalescer for a reactor with ``after_turn`` (``bridge.host.reactor``); None for any other."""
        after_turn = getattr(reactor, "after_turn", None)
        return None if after_turn is None else cls(pipeline, after_turn)

    def try_add(self, peer: Peer, frames: Frames) -> bool:
        """Adds a read and returns True, or flushes the reads added before and returns False."""
        if len(frames) > self.MAX_READ or not isinstance(frames, bytes) or not self._can_coalesce(peer):
            self.flush()
            return False
        blocks = self._blocks.get(peer)
        if blocks is None:
            self._blocks[peer] = [frames]
        else:
            blocks.append(frames)
        self._size += len(frames)
        self._frames += frames.count(b"\n")
        if self._size > self.FLUSH_SIZE or self._frames > self.FLUSH_FRAMES:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._after_turn(self._turn_ended)
        return True

    def _can_coalesce(self, peer: Peer) -> bool:
        if not peer.decided:
            peer.decide()
        return peer.mergeable and not self._pipeline.spool_writer.room.pauses

    def flush(self) -> None:
        """Passes all collected reads to the pipeline."""
        if self._blocks:
            blocks, self._blocks, self._size, self._frames = self._blocks, {}, 0, 0
            self._pipeline.take_blocks(blocks)

    def _turn_ended(self) -> None:
        self._scheduled = False
        self.flush()
