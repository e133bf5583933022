"""Defines an operator's command, the progress it reports, and the errors whose text is for the operator."""

from collections.abc import Callable, Coroutine
from typing import Any

from bridge.util.errors import BridgeError

JSON = dict[str, object]
Progress = Callable[[JSON], bool]
"Receives the progress of a command. Returns False if the operator no longer waits for the result."
Command = Callable[[JSON, Progress], Coroutine[Any, Any, JSON]]
"Takes the JSON object of the request and returns the JSON object of the result."


class WrongRequest(BridgeError):
    """Raised when a command gets invalid parameters; the text names the parameter and what it must be."""


class CommandError(BridgeError):
    """Raised when a command cannot be carried out; the text tells the operator why."""


class ReloadError(BridgeError):
    """Raised when a new configuration is not applied and the current one stays in use.

    ``faults`` has one text for the operator per reason.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults
