"""Runs `faulty_collector.py` as a process, and reads the requests that it recorded."""

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


class RecordedRequest(NamedTuple):
    """One recorded request; the fields are those of `faulty_collector.py`."""

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
    """Runs a faulty collector; `requests` lists its requests in order."""

    def __init__(self, directory: Path, **plan: Any) -> None:
        self.port = free_port()
        self.plan = plan
        self.requests: list[RecordedRequest] = []
        self._directory = directory
        self._output = directory / "requests.jsonl"
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
        root = Path(script).parents[2]
        argv = [sys.executable, "-P", script, str(self.port), str(self._output), json.dumps(self.plan)]
        self._process = Process(argv, directory=self._directory, name="faulty-collector", env={"PYTHONPATH": str(root)})
        first = self.plan.get("hosts", ["127.0.0.1"])[0]
        self._process.wait_until(lambda: accepts(self.port, first), "listening")

    def change(self, **changed: Any) -> None:
        """Changes `faults`, `largest` and `listening` of a collector whose plan names a `control` file."""
        file = Path(self.plan["control"])
        partial = file.with_suffix(".new")
        partial.write_text(json.dumps(changed))
        partial.rename(file)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
            self.refresh()

    def refresh(self) -> list[RecordedRequest]:
        """Reads the output and returns every request until now."""
        if self._output.exists():
            with self._output.open("rb") as file:
                file.seek(self._read_up_to)
                fresh = file.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self._read_up_to += len(whole)
            self.requests += [RecordedRequest(**json.loads(line)) for line in whole.splitlines()]
        return self.requests

    def wait_taken(self, count: int) -> None:
        """Waits until `count` different events were accepted."""
        until(
            lambda: len({text for request in self.refresh() for text in request.taken}) >= count,
            lambda: f"{count} events accepted; faults: {self.faults()}",
        )

    # --- what it recorded ---------------------------------------------------------------------------------------------
    def taken(self, key: str | None = None) -> Counter[str]:
        """Returns each accepted event and how often it was accepted."""
        return Counter(text for request in self.refresh() if key in (None, request.key) for text in request.taken)

    def unconfirmed(self) -> set[str]:
        """Returns events of requests that were accepted without the sender being able to know it."""
        return {text for request in self.refresh() if not request.clean for text in request.taken}

    def withheld(self) -> set[str]:
        """Returns events that a successful response left out."""
        return {text for request in self.refresh() for text in request.withheld}

    def faults(self) -> Counter[str]:
        return Counter(request.fault for request in self.refresh())


@contextmanager
def faulty(directory: Path, **plan: Any) -> Iterator[FaultyCollector]:
    """Runs a faulty collector for the length of the `with` block."""
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
