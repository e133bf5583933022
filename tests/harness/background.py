"""Runs a sender in a thread for the length of a `with` block."""

from __future__ import annotations

import threading
from typing import Self


class BackgroundSender:
    """Sends until the end of the block; a subclass defines `_run`, which counts `sent` and ends once `_stop` is set."""

    def __init__(self) -> None:
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        raise NotImplementedError
