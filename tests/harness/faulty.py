"""`faulty_collector.py` as a process, and what it wrote down."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.harness import faulty_collector
from tests.harness.polling import until
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process


class Seen(NamedTuple):
    """One request as the collector saw it; the fields are those of `faulty_collector.py`."""

    at: float
    key: str
    id: str
    time: str | None
    fault: str
    count: int
    size: int
    host: str
    taken: list[str]
    clean: bool
    withheld: list[str]


class FaultyCollector:
    """`seen` grows in the order of the requests."""

    def __init__(self, directory: Path, **plan: Any) -> None:
        self.port = free_port()
        self.plan = plan
        self.seen: list[Seen] = []
        self._directory = directory
        self._output = directory / "seen.jsonl"
        self._read_up_to = 0
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stderr(self) -> str:
        return self._process.stderr if self._process else ""

    def start(self) -> None:
        script = faulty_collector.__file__
        argv = [sys.executable, "-P", script, str(self.port), str(self._output), json.dumps(self.plan)]
        self._process = Process(argv, directory=self._directory, name="faulty-collector")
        first = self.plan.get("hosts", ["127.0.0.1"])[0]
        self._process.wait_until(lambda: accepts(self.port, first), "it listens")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
            self.refresh()

    def refresh(self) -> list[Seen]:
        """Every request until now."""
        if self._output.exists():
            with self._output.open("rb") as file:
                file.seek(self._read_up_to)
                fresh = file.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self._read_up_to += len(whole)
            self.seen += [Seen(**json.loads(line)) for line in whole.splitlines()]
        return self.seen

    def wait_taken(self, count: int) -> None:
        """Wait until so many different events were taken."""
        until(
            lambda: len({text for seen in self.refresh() for text in seen.taken}) >= count,
            lambda: f"{count} events taken; of the requests: {self.faults()}",
        )

    # --- what it wrote down -------------------------------------------------------------------------------------------
    def taken(self, key: str | None = None) -> Counter[str]:
        """Each event taken, and how often."""
        return Counter(text for seen in self.refresh() if key in (None, seen.key) for text in seen.taken)

    def doubtful(self) -> set[str]:
        """Events that were taken by a request whose sender could not know it."""
        return {text for seen in self.refresh() if not seen.clean for text in seen.taken}

    def withheld(self) -> set[str]:
        return {text for seen in self.refresh() for text in seen.withheld}

    def faults(self) -> Counter[str]:
        return Counter(seen.fault for seen in self.refresh())


@contextmanager
def faulty(directory: Path, **plan: Any) -> Iterator[FaultyCollector]:
    """A running one."""
    collector = FaultyCollector(directory / "collector", **plan)
    try:
        collector.start()
        yield collector
        assert "Traceback" not in collector.stderr, collector.stderr
    except BaseException:
        print(f"--- faulty collector\n{collector.stderr}")
        raise
    finally:
        collector.kill()
