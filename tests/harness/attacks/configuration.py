"""Attacks through the configuration: files that are no files, which a reload must not wait for."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import yaml

from tests.harness.attacks.attack import Attack, Target


class Reloads(Attack):
    """Reloads with FIFOs, devices and huge files as key, as list and as included file."""

    name = "configuration-reloads"
    point = 7
    pause = 1.0

    def __init__(self, target: Target, *, seed: int, network: str) -> None:
        super().__init__(target, seed=seed, network=network)
        self._good = Path(target.configuration).read_text()

    def _step(self, stop: threading.Event) -> None:
        changed: dict[str, Any] = yaml.safe_load(self._good)
        file = self._choose_file()
        kind = self.chance.choice(("key", "list", "include"))
        if kind == "key":
            changed["intakes"]["other"] = {"intake_key": {"file": file}}
        elif kind == "list":
            changed["sources"] = [{"source": {"file": file}, "timezone": "UTC"}]
        else:
            changed["include"] = [file]
        self._write(yaml.safe_dump(changed, sort_keys=False))
        os.kill(self.target.pid, signal.SIGHUP)

    def _choose_file(self) -> str:
        fifo, huge = self._file("fifo"), self._file("huge")
        if not fifo.exists():
            os.mkfifo(fifo)
        if not huge.exists():
            with huge.open("wb") as file:
                file.truncate(1 << 30)  # sparse
        return self.chance.choice((str(fifo), str(huge), "/dev/zero", str(fifo.parent)))

    def _end(self) -> None:
        super()._end()
        self._write(self._good)
        os.kill(self.target.pid, signal.SIGHUP)

    def _write(self, text: str) -> None:
        partial = Path(self.target.configuration).with_suffix(".new")
        partial.write_text(text)
        partial.rename(self.target.configuration)


ATTACKS: tuple[type[Attack], ...] = (Reloads,)
