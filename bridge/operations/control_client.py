"""The running bridge, asked through ``SPOOL/control.sock``: its admin site over a Unix socket."""

import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ANSWER_SECONDS = 10.0
_NEWS_SECONDS = 60.0
"A command at work says every two seconds that it is."


class ControlError(Exception):
    """The bridge could not be asked; the text says why and what to do."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, directory: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._directory = directory
        self._seconds = timeout

    def connect(self) -> None:
        # A Unix socket's name has 107 bytes at most; through the open directory it is short wherever the spool is.
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self._seconds)
            self.sock.connect(f"/proc/self/fd/{folder}/control.sock")
        finally:
            os.close(folder)


@contextmanager
def _in_words(where: Path, seconds: float) -> Iterator[None]:
    """What goes wrong on the way, for the operator."""
    try:
        yield
    except PermissionError:
        raise ControlError(f"{where}: only the bridge's own user and root may ask; use sudo") from None
    except FileNotFoundError:
        raise ControlError(f"{where} is not there: the bridge is starting, or stopping") from None
    except TimeoutError:
        raise ControlError(f"{where}: no answer within {seconds:g} s; its log should say why") from None
    except (OSError, http.client.HTTPException) as error:
        raise ControlError(f"{where}: {getattr(error, 'strerror', None) or error}") from None


Tell = Callable[[dict[str, Any]], None]


def do(directory: Path, command: str, given: Mapping[str, object], tell: Tell) -> dict[str, Any]:
    """Have the bridge that owns a spool carry out a command; ``tell`` is told how far it is. Its result.

    Raises ControlError, with the bridge's words where it could not.
    """
    where = directory / "control.sock"
    connection = _Connection(directory, _NEWS_SECONDS)
    try:
        with _in_words(where, _NEWS_SECONDS):
            connection.request("POST", f"/control/{command}", body=json.dumps(given).encode())
            response = connection.getresponse()
            if response.status == http.client.NOT_FOUND:
                raise ControlError(f"{where}: it knows no {command}: is the bridge of another version?")
            for line in response:
                said = json.loads(line)
                if "progress" in said:
                    tell(said["progress"])
                elif "error" in said:
                    raise ControlError(str(said["error"]))
                else:
                    result: dict[str, Any] = said["result"]
                    return result
    except ValueError:
        raise ControlError(f"{where}: {command} answers what is no answer: is the bridge of another version?") from None
    finally:
        connection.close()
    raise ControlError(f"{where}: the bridge went away before it was done")


def get(directory: Path, path: str) -> dict[str, Any]:
    """A JSON page of the bridge that owns a spool. Raises ControlError."""
    where = directory / "control.sock"
    connection = _Connection(directory, _ANSWER_SECONDS)
    try:
        with _in_words(where, _ANSWER_SECONDS):
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
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
