"""Runs a collector and a bridge for the length of a `with` block, and prints their stderr on failure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness.bridge import Bridge, key_of
from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.harness.send import send_lines

# Short: the default of two seconds would slow down every test.
BATCH_AGE = "200ms"


@contextmanager
def collecting(directory: Path, **options: Any) -> Iterator[Collector]:
    """Runs a collector for the length of the `with` block."""
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
    """Yields a bridge that the body starts (`start`); it is stopped at the end and must then exit with 0.

    `configuration` replaces top-level keys. Without `intakes` there is one intake, `all`.
    """
    bridge = Bridge(directory / "bridge", collector_url=collector_url, intakes=intakes or {"all": {}})
    # On a slow machine a batch may wait so long that it counts as backlog; timestamps must be exact there too.
    bridge.configuration |= {"batch": {"max_age": BATCH_AGE, "backlog_timestamp_resolution": "1s"}, **configuration}
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
    """Runs a collector and a bridge that delivers to it."""
    with (
        collecting(directory) as collector,
        bridging(directory, collector.url, intakes=intakes, **configuration) as bridge,
    ):
        bridge.start()
        yield collector, bridge


@contextmanager
def parked_bridge(directory: Path) -> Iterator[tuple[Collector, Bridge, Path]]:
    """Runs both with a wrong intake key, and yields the key file too; one event waits until the key is right."""
    with collecting(directory) as collector:
        collector.stop()
        collector.keys = (key_of("all"),)
        collector.start()
        with bridging(directory, collector.url) as bridge:
            file = bridge.directory / "keys" / "all"
            file.write_text("wrong" + "0" * 11 + "\n")
            bridge.start()
            send_lines(bridge.tcp, [b"<13>waits for its key"])
            until(lambda: bridge.status()["intakes"][0]["state"] == "parked", "intake is parked")
            yield collector, bridge, file
