"""The running bridge, asked through ``SPOOL/control.sock``: its admin site over a Unix socket."""

import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

_ANSWER_SECONDS = 10.0


class ControlError(Exception):
    """The bridge could not be asked; the text says why and what to do."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, directory: Path) -> None:
        super().__init__("localhost", timeout=_ANSWER_SECONDS)
        self._directory = directory

    def connect(self) -> None:
        # A Unix socket's name has 107 bytes at most; through the open directory it is short wherever the spool is.
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(_ANSWER_SECONDS)
            self.sock.connect(f"/proc/self/fd/{folder}/control.sock")
        finally:
            os.close(folder)


def get(directory: Path, path: str) -> dict[str, Any]:
    """A JSON page of the bridge that owns a spool. Raises ControlError."""
    where = directory / "control.sock"
    connection = _Connection(directory)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except PermissionError:
        raise ControlError(f"{where}: only the bridge's own user and root may ask; use sudo") from None
    except FileNotFoundError:
        raise ControlError(f"{where} is not there: the bridge is starting, or stopping") from None
    except TimeoutError:
        raise ControlError(f"{where}: no answer within {_ANSWER_SECONDS:g} s; its log should say why") from None
    except (OSError, http.client.HTTPException) as error:
        raise ControlError(f"{where}: {getattr(error, 'strerror', None) or error}") from None
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise ControlError(f"{where}: {path} answers {response.status}: is the bridge of another version?")
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise ControlError(f"{where}: {path} answers what is no status: is the bridge of another version?")
    return said
