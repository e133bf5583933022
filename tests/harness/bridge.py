"""Runs the installed `syslog-bridge run` as a process, and reads its configuration, ports and status."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.harness.polling import until
from tests.harness.ports import free_port
from tests.harness.process import SYSLOG_BRIDGE, Process

# The two sides of the ledger's identity; `dropped` maps reasons to counts.
_IN = ("received", "recovered", "replayed", "taken_over")
_OUT = ("delivered", "spooled", "buffered", "quarantined", "filtered", "handed_over")


def key_of(intake: str) -> str:
    """Returns an intake's key: 16 letters or digits, as real ones have, beginning with the intake's name."""
    letters = "".join(filter(str.isalnum, intake))
    return f"{letters}{'0' * 16}"[:16]


def balanced(body: bytes) -> dict[str, Any]:
    """Returns the status in the body of `/api/status`, and asserts that the ledger balances in it."""
    status: dict[str, Any] = json.loads(body)
    ledger = status["ledger"]
    taken = sum(ledger[name] for name in _IN)
    accounted = sum(ledger[name] for name in _OUT) + sum(ledger["dropped"].values())
    assert taken == accounted, f"the ledger does not balance: {ledger}"
    return status


class Bridge:
    """Manages one bridge: a directory with its configuration, keys and spool. It can be started repeatedly."""

    def __init__(self, directory: Path, *, collector_url: str, intakes: Mapping[str, Mapping[str, Any]]) -> None:
        """`intakes` maps names to options; each gets a key file. Change `configuration` before `start`."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.udp, self.tcp, self.admin = free_port(), free_port(), free_port()
        self.spool = directory / "spool"
        self.file = directory / "bridge.yaml"
        self.process: Process | None = None
        self.configuration: dict[str, Any] = {
            "collector": {"url": collector_url, "max_request_rate": 1000},
            "listeners": [
                {"name": "udp", "udp": f"127.0.0.1:{self.udp}"},
                {"name": "tcp", "tcp": f"127.0.0.1:{self.tcp}"},
            ],
            "intakes": {name: {"intake_key": {"file": str(self._key_file(name))}, **intakes[name]} for name in intakes},
            "unrouted": {"intake": next(iter(intakes))},
            "spool": {"directory": str(self.spool)},
            "admin": {"listen": f"127.0.0.1:{self.admin}"},
        }

    def _key_file(self, intake: str) -> Path:
        file = self.directory / "keys" / intake
        file.parent.mkdir(exist_ok=True)
        file.write_text(key_of(intake) + "\n")
        file.chmod(0o600)
        return file

    def write_configuration(self) -> Path:
        text = yaml.safe_dump(self.configuration, sort_keys=False)
        # Each command writes it, and the bridge may read it at that moment.
        if not self.file.exists() or self.file.read_text() != text:
            self.file.write_text(text)
        return self.file

    # --- start and stop -----------------------------------------------------------------------------------------------
    def launch(self, env: Mapping[str, str] | None = None) -> Process:
        """Starts the bridge and returns at once."""
        argv = [SYSLOG_BRIDGE, "run", "-c", str(self.write_configuration())]
        self.process = Process(argv, directory=self.directory, name="bridge", env=env)
        return self.process

    def start(self, env: Mapping[str, str] | None = None) -> None:
        """Starts the bridge and waits until it is ready."""
        self.launch(env).wait_until(lambda: self.get("/readyz")[0] == 200, "/readyz answers 200")

    def stop(self) -> None:
        """Sends SIGTERM and asserts exit code 0."""
        if self.process is not None:
            process, self.process = self.process, None
            code = process.terminate()
            assert code == 0, f"exit code {code} after SIGTERM; stderr:\n{process.stderr}"

    def kill(self) -> None:
        """Sends SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    # --- status -------------------------------------------------------------------------------------------------------
    def get(self, path: str) -> tuple[int, bytes]:
        """Returns status and body of an admin endpoint page; (0, reason) if the connection fails."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error).encode()
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """Returns `/api/status`, and asserts that the ledger balances in it."""
        code, body = self.get("/api/status")
        assert code == 200, f"/api/status: {code} {body!r}; {self._stderr()}"
        return balanced(body)

    def ledger(self) -> dict[str, Any]:
        ledger: dict[str, Any] = self.status()["ledger"]
        return ledger

    def wait_received(self, count: int) -> None:
        """Waits until the bridge has received `count` events since its start."""
        until(
            lambda: self.ledger()["received"] >= count,
            lambda: f"{count} events received: {self.ledger()}\n{self._stderr()}",
        )

    def wait_drained(self) -> None:
        """Waits until nothing is left to deliver."""
        until(lambda: self.ledger()["spooled"] == 0, lambda: f"empty spool: {self.status()}\n{self._stderr()}")

    def _stderr(self) -> str:
        return f"stderr:\n{self.process.stderr}" if self.process else "not running"
