"""Follows the messages that the running bridge receives, through its control socket. At high rates it gets a sample."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.discover import Received
from bridge.host.privileges import acting_as_owner
from bridge.operations import control_client

POLL_SECONDS = 0.2


class FollowedMessages:
    """Iterates over the messages of the bridge that owns a spool directory. Raises ControlError.

    Yields None after each request, so that the caller can show its progress.
    """

    def __init__(
        self, directory: Path, until: float, *, clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._directory = directory
        self._until = until
        self._clock = clock
        self._sleep = sleep
        self._first: list[dict[str, Any]] = []
        self.missed = 0
        "Messages that the bridge received and did not pass on."

    def start(self) -> None:
        """Starts the watch: the bridge keeps the messages that it receives from now on."""
        self._first = self._request()

    def __iter__(self) -> Iterator[Received | None]:
        messages, self._first = self._first, []
        while True:
            yield from map(_received, messages)
            yield None
            if self._clock() >= self._until:
                return
            if not messages:
                self._sleep(POLL_SECONDS)
            messages = self._request()

    def _request(self) -> list[dict[str, Any]]:
        path = f"/api/tail?name=discover-{os.getpid()}&form=raw"
        with acting_as_owner(self._directory):
            page = control_client.get(self._directory, path)
        if "error" in page:
            raise control_client.ControlError(f"the bridge rejected the request: {page['error']}")
        self.missed += page["missed"]
        found: list[dict[str, Any]] = page["messages"]
        return found


def _received(message: dict[str, Any]) -> Received:
    time_ = datetime.fromisoformat(message["received"]).timestamp()
    # The host behind a relay is found again in the header.
    source = message.get("behind") or message["source"]
    return Received(message["raw"].encode("utf-8", "surrogateescape"), source, time_, message["listener"])
