"""Sends requests to the admin server of the running bridge through its Unix socket ``SPOOL/control.sock``."""

import errno
import http.client
import json
import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridge.operations import operator
from bridge.util.errors import BridgeError

_PAGE_TIMEOUT_SECONDS = 10.0
_COMMAND_TIMEOUT_SECONDS = 60.0
"Maximum time between two lines of a command's response. A running command sends its progress every two seconds."


class ControlError(BridgeError):
    """Raised when a request to the bridge fails; the text says why and what to do."""


def never_ran(directory: Path) -> ControlError:
    """Returns the error of a command for the bridge of a spool that does not exist."""
    return ControlError(
        f"the bridge has never run: there is no spool {directory}",
        "Start it with systemctl start syslog-bridge, or name its configuration with -c FILE",
    )


class _Connection(http.client.HTTPConnection):
    """Connects to the control socket of a spool directory. Times out after ``timeout`` seconds without data."""

    def __init__(self, directory: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._directory = directory

    def connect(self) -> None:
        # The path through a descriptor never exceeds the 107 bytes of a socket's path, and follows no link.
        descriptor = os.open(self._directory / "control.sock", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                raise OSError(errno.ENOTSOCK, "not a socket. Restart the bridge")
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)


@contextmanager
def _connected(directory: Path, timeout: float) -> Iterator[_Connection]:
    """Connects to the bridge that owns a spool, and converts errors to ControlError. ``timeout`` is in seconds."""
    path = directory / "control.sock"
    connection = _Connection(directory, timeout)
    try:
        yield connection
    except PermissionError:
        raise ControlError(f"{path}: permission denied. Run the command as root or as the bridge's user") from None
    except FileNotFoundError:
        if not directory.is_dir():
            raise never_ran(directory) from None
        raise ControlError(f"{path} does not exist: the bridge is starting or stopping. Try again") from None
    except TimeoutError:
        raise ControlError(f"{path}: no response within {timeout:g} s. See the log of the bridge") from None
    except (OSError, http.client.HTTPException) as error:
        raise ControlError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except ValueError:
        raise ControlError(f"{path} did not return a JSON object. Restart the bridge if it was upgraded") from None
    finally:
        connection.close()


ProgressCallback = Callable[[dict[str, Any]], None]


def execute(
    directory: Path, command: str, parameters: Mapping[str, object], on_progress: ProgressCallback
) -> dict[str, Any]:
    """Runs a command on the bridge that owns a spool, and returns its result.

    ``on_progress`` receives each progress report. Raises ControlError, with the bridge's text if the command failed.
    """
    with _connected(directory, _COMMAND_TIMEOUT_SECONDS) as connection:
        connection.request("POST", f"/control/{command}", json.dumps(parameters).encode(), operator.header())
        response = connection.getresponse()
        if response.status == http.client.NOT_FOUND:
            raise ControlError(
                f"{directory}: the running bridge has no command {command}. Restart it if it was upgraded"
            )
        for line in response:
            message = json.loads(line)
            if "progress" in message:
                on_progress(message["progress"])
            elif "error" in message:
                raise ControlError(str(message["error"]))
            else:
                result: dict[str, Any] = message["result"]
                return result
    raise ControlError(f"{directory}: the bridge closed the connection before the command ended. See its log")


def get(directory: Path, path: str) -> dict[str, Any]:
    """Requests a JSON page of the bridge that owns a spool, and returns the object. Raises ControlError."""
    with _connected(directory, _PAGE_TIMEOUT_SECONDS) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise ControlError(
                f"{directory}: {path} returned HTTP status {response.status}. Restart the bridge if it was upgraded"
            )
        page = json.loads(response.read())
        if not isinstance(page, dict):
            raise ValueError("not an object")
        return page
