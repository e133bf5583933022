"""Tests that a reload refuses FIFOs, devices and huge files in words, while the bridge keeps receiving."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.harness.bridge import Bridge
from tests.harness.polling import until
from tests.harness.resources import memory_kib
from tests.harness.running import running
from tests.harness.send import send_lines

MOST_MEMORY_KIB = 64 << 10
"KiB by which refused reloads may raise the peak of the bridge."


def make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


KINDS: tuple[tuple[Callable[[Path], object], str], ...] = (
    (os.mkfifo, "a FIFO, not a regular file"),
    (lambda path: path.symlink_to("/dev/zero"), "a device, not a regular file"),
    (make_huge, "larger than"),
)


def alarm(bridge: Bridge) -> str:
    """Returns the text of the alarm about a reload that failed, or an empty text."""
    return next((each["text"] for each in bridge.status()["alarms"] if each["kind"] == "reload"), "")


def test_reload_refuses_files_that_are_no_files(tmp_path: Path) -> None:
    with running(tmp_path) as (collector, bridge):
        folder = bridge.directory
        places = [folder / "keys" / "all", folder / "more.yaml", folder / "list"]
        bridge.configuration["include"] = "more.yaml"
        bridge.configuration["listeners"][0]["allow"] = {"file": "list"}
        texts = (places[0].read_text(), "timezone: UTC\n", "127.0.0.1\n")
        sent = 0

        def restore() -> None:
            for place, text in zip(places, texts, strict=True):
                place.unlink(missing_ok=True)
                place.write_text(text)

        restore()
        bridge.write_configuration()
        assert bridge.process is not None
        before = memory_kib(bridge.process.pid)
        for place in places:
            for make, words in KINDS:
                place.unlink()
                make(place)
                os.kill(bridge.process.pid, signal.SIGHUP)
                until(lambda: words in alarm(bridge), lambda: f"{place}: {words!r} in {alarm(bridge)!r}")  # noqa: B023
                assert place.name in alarm(bridge)
                restore()
                os.kill(bridge.process.pid, signal.SIGHUP)
                until(lambda: not alarm(bridge), lambda: f"no alarm: {alarm(bridge)}")
                sent += 1
                send_lines(bridge.tcp, [b"<13>event %d" % sent])
                collector.wait_for(sent)
        assert memory_kib(bridge.process.pid) - before < MOST_MEMORY_KIB
