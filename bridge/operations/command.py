"""Defines an operator's command, the progress it reports, and the errors whose text is for the operator."""

from collections.abc import Callable, Coroutine
from typing import Any

JSON = dict[str, object]
Progress = Callable[[JSON], bool]
"Takes news of the progress; returns False once the operator no longer waits for the result."
Command = Callable[[JSON, Progress], Coroutine[Any, Any, JSON]]
"Takes the request's JSON object, returns the result's."


class WrongRequest(Exception):
    """The request's object is not what the command takes; the text says what it takes."""


class CommandError(Exception):
    """The command could not be carried out; the text says why, for the operator."""


class ReloadError(Exception):
    """The new configuration is not in use, the running one stays; each of ``faults`` says why, for the operator."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults
