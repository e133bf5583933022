"""A collector and a bridge that run for the length of a `with`, and their words on failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.harness.send import send_lines

# Short, so that a test need not wait for the default of two seconds each time.
BATCH_AGE = "200ms"


@contextmanager
def collecting(directory: Path, **options: Any) -> Iterator[Collector]:
    """A running collector."""
    collector = Collector(directory / "collector", **options)
    try:
        collector.start()
        yield collector
    except BaseException:
        print(f"--- collector\n{collector.stderr}")
        collector.kill()
        raise
    collector.stop()


@contextmanager
def bridging(
    directory: Path, collector_url: str, *, intakes: Mapping[str, Mapping[str, Any]] | None = None, **configuration: Any
) -> Iterator[Bridge]:
    """A bridge that the body starts (`start`), and that must end well if the body did.

    `configuration` replaces top-level keys; without `intakes` there is one, `all`.
    """
    bridge = Bridge(directory / "bridge", collector_url=collector_url, intakes=intakes or {"all": {}})
    # On a slow machine a batch may wait so long that it counts as backlog: times are to be exact there too.
    bridge.configuration |= {"batch": {"max_age": BATCH_AGE, "catch_up_resolution": "1s"}, **configuration}
    try:
        yield bridge
    except BaseException:
        # pytest shows this with the failure.
        print(f"--- bridge: {bridge.file}\n{bridge.process.stderr if bridge.process else 'not running'}")
        bridge.kill()
        raise
    bridge.stop()


@contextmanager
def running(
    directory: Path, *, intakes: Mapping[str, Mapping[str, Any]] | None = None, **configuration: Any
) -> Iterator[tuple[Collector, Bridge]]:
    """Both, started."""
    with (
        collecting(directory) as collector,
        bridging(directory, collector.url, intakes=intakes, **configuration) as bridge,
    ):
        bridge.start()
        yield collector, bridge


@contextmanager
def parked(directory: Path) -> Iterator[tuple[Collector, Bridge, Path]]:
    """Both, and the file of the intake's key, which is wrong: one event waits until it is right."""
    with collecting(directory) as collector:
        collector.stop()
        collector.keys = (key_of("all"),)
        collector.start()
        with bridging(directory, collector.url) as bridge:
            file = bridge.directory / "keys" / "all"
            file.write_text("wrong" + "0" * 11 + "\n")
            bridge.start()
            send_lines(bridge.tcp, [b"<13>waits for its key"])
            until(lambda: bridge.status()["intakes"][0]["state"] == "parked", "parked")
            yield collector, bridge, file
