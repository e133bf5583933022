"""Provides TLS clients: `openssl s_client`, and Python's `ssl` for what it cannot do."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.pki import Issued


def s_client(port: int, data: bytes, *options: str) -> str:
    """Sends `data` with `openssl s_client`, until all is sent or the connection is refused; returns its output."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl (Debian: openssl)")
    # -nocommands: lines that begin with Q or R are data. -no_ign_eof: it ends at the end of its input.
    argv = [program, "s_client", "-connect", f"127.0.0.1:{port}", "-nocommands", "-no_ign_eof", *options]
    done = subprocess.run(argv, input=data, capture_output=True, timeout=180, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


@contextmanager
def tls(port: int, ca: Path, own: Issued | None = None, *, source: str = "127.0.0.1") -> Iterator[ssl.SSLSocket]:
    """Opens a TLS connection that verifies the bridge's certificate; closes it in order at the end."""
    context = ssl.create_default_context(cafile=ca)
    if own is not None:
        context.load_cert_chain(own.certificate, own.private_key)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=180, source_address=(source, 0)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        yield connection
        connection.unwrap()
