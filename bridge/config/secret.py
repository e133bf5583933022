"""Secrets: the four ways to give one, and a value that shows itself to nobody who does not ask.

`{file: PATH}` (relative to the file of the configuration), `{credential: NAME}` (a file of systemd's
$CREDENTIALS_DIRECTORY), `{env: NAME}`, or the text itself. One trailing line end is not part of it. Faults are shown at
the key that asks for the secret and never quote what was found, nor what stands where a secret may have been pasted.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from bridge.config.validation_context import FaultAtKey, ValidationContext
from bridge.config.yaml_tree import Entries, Scalar

_LARGEST = 64 * 1024  # bytes; a file given by mistake is not read whole
_FORMS = "{file: PATH}, {credential: NAME}, {env: NAME} or the text"


class Secret:
    """A text that masks itself wherever it is shown; `reveal()` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text; empty where the configuration was read without its secrets."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def looks_like_a_key(text: str) -> bool:
    """Whether it could be an intake key: the vendor's own forwarder wants 16 letters and digits at its beginning."""
    return re.match("[a-zA-Z0-9]{16}", text) is not None


def secret(value: object, reading: ValidationContext) -> Secret:
    """A secret in any of its forms, read; its text printable."""
    text = _given(value, reading)
    if text is None:
        return Secret("")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise FaultAtKey("the secret is empty")
    if not text.isprintable():
        raise FaultAtKey("the secret holds a control character, a tab or a second line: is it the right file?")
    return Secret(text)


def header_secret(value: object, reading: ValidationContext) -> Secret:
    """A secret that is sent in an HTTP header: ASCII without blanks (RFC 9110 section 5.5)."""
    found = secret(value, reading)
    if not re.fullmatch("[!-~]*", found.reveal()):
        raise FaultAtKey("the secret holds blanks or letters outside ASCII, which its HTTP header cannot carry")
    return found


def _given(value: object, reading: ValidationContext) -> str | None:
    """The text as found, or None where secrets are not to be read."""
    if isinstance(value, Scalar):
        return str(value)
    if not isinstance(value, Entries) or len(value) != 1:
        raise FaultAtKey(f"no secret: write one of {_FORMS}")
    ((form, where),) = value.items()
    if form not in ("file", "credential", "env") or not isinstance(where, Scalar) or not where:
        raise FaultAtKey(f"no secret: write one of {_FORMS}")
    if form == "env":
        return _environment(where, reading)
    if form == "file":
        # A name without a folder may be the key itself, written where its file belongs.
        path = reading.path(where)
        return _contents(path, f"the secret's file {path}" if "/" in where else "the secret's file", reading)
    if "/" in where or where in (".", ".."):
        raise FaultAtKey("a credential is a name, without /: for a path write {file: PATH}")
    if not reading.secrets:
        return None
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise FaultAtKey("$CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with LoadCredential=")
    return _contents(Path(directory) / where, f"the credential in {directory}", reading)


def _environment(name: str, reading: ValidationContext) -> str | None:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        raise FaultAtKey("no name of an environment variable: letters, digits and _ only, without $")
    if not reading.secrets:
        return None
    if name not in os.environ:
        raise FaultAtKey("the environment variable that it names is not set")
    return os.environ[name]


def _contents(path: Path, name: str, reading: ValidationContext) -> str | None:
    if not reading.secrets:
        return None
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise FaultAtKey(f"{name} cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise FaultAtKey(f"{name} is larger than {_LARGEST >> 10} KiB: is it the right file?")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise FaultAtKey(f"{name} is no UTF-8 text: is it the right file?") from None
