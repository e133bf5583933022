"""Drives a headless Chromium through Debian's chromium-driver over WebDriver (W3C), and reads its console."""

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
    """Controls one browser window."""

    def __init__(self, port: int, session: str) -> None:
        self._port = port
        self._session = session

    def command(self, method: str, path: str, **body: Any) -> Any:
        """Sends a command of the session and returns its value."""
        return _request(self._port, method, f"/session/{self._session}{path}", body)

    def open(self, url: str) -> None:
        self.command("POST", "/url", url=url)

    def run(self, script: str, *args: Any) -> Any:
        """Runs a function body and returns its value (a promise is awaited)."""
        return self.command("POST", "/execute/sync", script=script, args=list(args))

    def text(self, selector: str) -> str:
        """Returns the text of an element; empty if there is none."""
        found = self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return str(found)

    def texts(self, selector: str) -> list[str]:
        found = self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector)
        return [str(text) for text in found]

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def press(self, *keys: str) -> None:
        """Presses keys one after the other on the focused element."""
        actions = [
            action for key in keys for action in ({"type": "keyDown", "value": key}, {"type": "keyUp", "value": key})
        ]
        self.command("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def resize(self, size: tuple[int, int], *, dark: bool = False) -> None:
        """Emulates a screen of this size in CSS pixels."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def devtools(self, command: str, **params: Any) -> Any:
        return self.command("POST", "/goog/cdp/execute", cmd=command, params=params)

    def screenshot(self, file: Path) -> None:
        """Saves a screenshot of the whole page, not only of its visible part."""
        taken = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))

    def console_messages(self) -> list[str]:
        """Returns console errors and warnings since the last call: exceptions, blocked resources, policy violations."""
        lines = self.command("POST", "/se/log", type="browser")
        return [str(line["message"]) for line in lines if line["level"] in ("SEVERE", "WARNING")]

    def wait_text(self, selector: str, words: str) -> None:
        """Waits until an element contains the words."""
        script = f"return document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(words)})"
        self.wait(script, f"{words!r} in {selector}")

    def wait_count(self, selector: str, count: int) -> None:
        """Waits until there are `count` elements."""
        self.wait(f"return document.querySelectorAll({json.dumps(selector)}).length === {count}", f"{count} {selector}")

    def wait(self, script: str, what: str) -> Any:
        """Waits until a function body returns a true value."""
        return until(lambda: self.run(script), lambda: f"{what}; the page shows:\n{self.text('body')[:3000]}")


@contextmanager
def browsing(directory: Path) -> Iterator[Browser]:
    """Starts a browser with a profile of its own. Skips the test if Chromium is not installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium and chromedriver (Debian: chromium, chromium-driver)")
    port = free_port()
    process = Process([driver, f"--port={port}"], directory=directory, name="chromedriver")
    session = None
    try:
        process.wait_until(lambda: accepts(port), "listening")
        options = {"binary": chromium, "args": [*_FLAGS, f"--user-data-dir={directory / 'profile'}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = _request(port, "POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        yield Browser(port, session)
    finally:
        if session is not None:
            _request(port, "DELETE", f"/session/{session}", {})
        process.terminate()


def _request(port: int, method: str, path: str, body: dict[str, Any]) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(
            method, path, json.dumps(body) if method == "POST" else None, {"Content-Type": "application/json"}
        )
        value = json.loads(connection.getresponse().read())["value"]
    finally:
        connection.close()
    if isinstance(value, dict) and "error" in value:
        raise AssertionError(f"the browser: {value['error']}: {value['message'].splitlines()[0]}")
    return value
