"""A headless Chromium, driven by Debian's chromium-driver over WebDriver (W3C), and what it complained of."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness.polling import until
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
)  # fmt: skip
DESKTOP = (1280, 900)
PHONE = (390, 844)


class Browser:
    """One window."""

    def __init__(self, port: int, session: str) -> None:
        self._port = port
        self._session = session

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """A command of the session; its value."""
        return _ask(self._port, method, f"/session/{self._session}{path}", body)

    def open(self, url: str) -> None:
        self.ask("POST", "/url", url=url)

    def run(self, script: str, *args: Any) -> Any:
        """The value that a function body returns (a promise is waited for)."""
        return self.ask("POST", "/execute/sync", script=script, args=list(args))

    def text(self, selector: str) -> str:
        """What an element shows; empty where there is none."""
        found = self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return str(found)

    def texts(self, selector: str) -> list[str]:
        found = self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector)
        return [str(text) for text in found]

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def press(self, *keys: str) -> None:
        """Keys one after the other, on whatever has the focus."""
        actions = [
            action for key in keys for action in ({"type": "keyDown", "value": key}, {"type": "keyUp", "value": key})
        ]
        self.ask("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def width(self, size: tuple[int, int], *, dark: bool = False) -> None:
        """The window as a screen of this size, in CSS pixels."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def devtools(self, command: str, **params: Any) -> Any:
        return self.ask("POST", "/goog/cdp/execute", cmd=command, params=params)

    def screenshot(self, file: Path) -> None:
        """The whole page, not only what the window shows."""
        taken = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console since the last call: exceptions, blocked resources, a violated policy."""
        lines = self.ask("POST", "/se/log", type="browser")
        return [str(line["message"]) for line in lines if line["level"] in ("SEVERE", "WARNING")]

    def wait_text(self, selector: str, words: str) -> None:
        """Until an element shows some words."""
        script = f"return document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(words)})"
        self.wait(script, f"{words!r} in {selector}")

    def wait_count(self, selector: str, count: int) -> None:
        """Until there are so many elements."""
        self.wait(f"return document.querySelectorAll({json.dumps(selector)}).length === {count}", f"{count} {selector}")

    def wait(self, script: str, what: str) -> Any:
        """Until a function body returns something true."""
        return until(lambda: self.run(script), lambda: f"{what}; the page shows:\n{self.text('body')[:3000]}")


@contextmanager
def browsing(directory: Path) -> Iterator[Browser]:
    """A browser with a profile of its own. Skips the test where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium and chromedriver (Debian: chromium, chromium-driver)")
    port = free_port()
    process = Process([driver, f"--port={port}"], directory=directory, name="chromedriver")
    session = None
    try:
        process.wait_until(lambda: accepts(port), "it listens")
        options = {"binary": chromium, "args": [*_FLAGS, f"--user-data-dir={directory / 'profile'}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = _ask(port, "POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        yield Browser(port, session)
    finally:
        if session is not None:
            _ask(port, "DELETE", f"/session/{session}", {})
        process.terminate()


def _ask(port: int, method: str, path: str, body: dict[str, Any]) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(
            method, path, json.dumps(body) if method == "POST" else None, {"Content-Type": "application/json"}
        )
        said = json.loads(connection.getresponse().read())["value"]
    finally:
        connection.close()
    if isinstance(said, dict) and "error" in said:
        raise AssertionError(f"the browser: {said['error']}: {said['message'].splitlines()[0]}")
    return said
