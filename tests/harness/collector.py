"""Runs the installed `syslog-bridge collector` as a process, and reads the events it accepted."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tests.harness.polling import until
from tests.harness.ports import accepts, free_port
from tests.harness.process import SYSLOG_BRIDGE, Process, ProcessExited


class DeliveredEvent(NamedTuple):
    """One event as the collector accepted it."""

    key: str
    time: datetime | None  # of the request's X-SEKOIAIO-EVENT-TIMESTAMP
    text: str


class Collector:
    """Accepts events on a loopback port; `arrived` lists them in order of arrival.

    It can be stopped and started again on the same port, and keeps what arrived.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keys: tuple[str, ...] = (),
        certificate: tuple[Path, Path] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """`certificate` is a certificate and its key: the collector then serves HTTPS as `localhost`."""
        self.port = free_port()
        self.arrived: list[DeliveredEvent] = []
        self._directory = directory
        self.keys = keys
        self._certificate = certificate
        self._host = host
        self._starts = 0
        self._process: Process | None = None
        self._output = directory / "none"
        self._read_up_to = 0

    @property
    def url(self) -> str:
        if self._certificate is not None:
            return f"https://localhost:{self.port}"
        return f"http://{self._bracketed}:{self.port}"

    @property
    def output(self) -> Path:
        """The file with the events that were accepted since the last start."""
        return self._output

    @property
    def _bracketed(self) -> str:
        return f"[{self._host}]" if ":" in self._host else self._host

    def start(self) -> None:
        """Starts it, on another port if this one is taken. Each start writes an output file of its own."""
        self._starts += 1
        self._output = self._directory / f"arrived-{self._starts}.jsonl"
        self._read_up_to = 0
        for attempt in (1, 2, 3):
            argv = [SYSLOG_BRIDGE, "collector", "--listen", f"{self._bracketed}:{self.port}"]
            argv += ["--output", str(self._output)]
            if self._certificate is not None:
                argv += ["--certificate", str(self._certificate[0]), "--private-key", str(self._certificate[1])]
            for key in self.keys:
                argv += ["--key", key]
            self._process = Process(argv, directory=self._directory, name="collector")
            try:
                self._process.wait_until(self._listens, "listening")
                return
            except ProcessExited:
                if self._starts > 1 or attempt == 3:
                    raise
                self.port = free_port()

    def _listens(self) -> bool:
        # Accepting connections is not enough: it must also handle SIGTERM.
        return "listening on" in self.stderr and accepts(self.port, self._host)

    def stop(self) -> None:
        """Sends SIGTERM and asserts exit code 0."""
        if self._process is not None:
            process, self._process = self._process, None
            assert process.terminate() == 0, process.stderr
            self.refresh()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
            self.refresh()

    @property
    def stderr(self) -> str:
        return self._process.stderr if self._process else ""

    def refresh(self) -> list[DeliveredEvent]:
        """Reads the output and returns every event that has arrived."""
        if not self._output.exists():
            return self.arrived
        with self._output.open("rb") as file:
            file.seek(self._read_up_to)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read_up_to += len(whole)
        for line in whole.splitlines():
            fields = json.loads(line)
            time = fields["event_timestamp"]
            self.arrived.append(
                DeliveredEvent(fields["intake_key"], datetime.fromisoformat(time) if time else None, fields["event"])
            )
        return self.arrived

    def wait_for(self, count: int) -> list[DeliveredEvent]:
        """Waits until at least `count` events have arrived (the caller checks for more)."""
        until(
            lambda: len(self.refresh()) >= count,
            lambda: f"{count} events; {len(self.arrived)} arrived, {self.per_key()}",
        )
        return self.arrived

    def per_key(self) -> Counter[str]:
        return Counter(event.key for event in self.arrived)

    def texts(self, key: str | None = None) -> list[str]:
        return [event.text for event in self.arrived if key in (None, event.key)]
