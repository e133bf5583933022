"""Tests Unix socket listeners for programs of the same machine."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.harness.asserting import assert_same
from tests.harness.running import bridging, collecting


def test_unix_datagrams_and_streams_arrive(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("u")
    datagrams, streams = folder / "log", folder / "stream"
    listeners = [
        {"name": "log", "unix_datagram": str(datagrams)},
        {"name": "stream", "unix_stream": str(streams), "mode": "0600"},
    ]
    intakes = {"all": {"payload": "line"}}
    with collecting(tmp_path) as collector:
        # A killed bridge leaves its sockets behind.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
            left.bind(str(datagrams))
        with bridging(tmp_path, collector.url, intakes=intakes, listeners=listeners) as bridge:
            bridge.start()
            assert [stat.S_IMODE(path.stat().st_mode) for path in (datagrams, streams)] == [0o666, 0o600]
            long = "x" * 100_000
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as origin:
                origin.connect(str(datagrams))
                for text in ("short", long):
                    # As glibc's syslog() writes it, without a host name.
                    origin.send(f"<13>Nov 24 00:00:00 cron[7]: {text}".encode())
            with socket.socket(socket.AF_UNIX) as origin:
                origin.connect(str(streams))
                origin.sendall(b"<13>Nov 24 00:00:00 db-1 app: one\n<13>Nov 24 00:00:00 db-1 app: two\n")
            subprocess.run(["logger", "--socket", str(datagrams), "-t", "tool", "by logger"], check=True, timeout=180)
            collector.wait_for(5)
            host = socket.gethostname()
            assert_same(
                (text.partition(" ")[2] for text in collector.texts()),
                [f"{host} cron[7]: short", f"{host} cron[7]: {long}", "db-1 app: one", "db-1 app: two",
                 f"{host} tool: by logger"],
            )  # fmt: skip
            assert {source["address"] for source in bridge.status()["sources"]} == {host}
        assert not datagrams.exists()
        assert not streams.exists()


@pytest.mark.parametrize("there", ["file", "listener"])
def test_occupied_socket_path_is_reported_and_kept(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, there: str
) -> None:
    path = tmp_path_factory.mktemp("u") / "log"
    with (
        collecting(tmp_path) as collector,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other,
    ):
        if there == "file":
            path.write_text("precious")
        else:
            other.bind(str(path))
            other.listen()
        with bridging(tmp_path, collector.url, listeners=[{"name": "log", "unix_datagram": str(path)}]) as bridge:
            process = bridge.launch()
            assert process.wait() == 1
            what = "exists and is not a socket" if there == "file" else "is in use"
            assert f"syslog-bridge: listener log: {path} {what}" in process.stderr
            bridge.process = None
        assert os.path.lexists(path)
