"""Reads secrets in their four forms and keeps them masked in logs and output.

The forms are `{file: PATH}` (relative to the configuration file), `{credential: NAME}` (a file in systemd's
$CREDENTIALS_DIRECTORY), `{env: NAME}` and the text itself. One trailing line end is removed. A fault is shown at the
key of the secret. It never quotes the secret, or any value in whose place a secret may have been pasted.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationInfo

from bridge.config.faults import FaultAtKey, ValidationContext
from bridge.config.yaml_tree import Entries, Scalar
from bridge.util.file_access import to_create, to_read
from bridge.util.files import TooLarge, read_regular

_LARGEST = 64 * 1024  # maximum bytes, so that a file given by mistake is not read completely
_FORMS = "{file: PATH}, {credential: NAME}, {env: NAME} or the text itself"


class Secret:
    """A text that prints as a mask; `reveal()` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Returns the text; empty if the configuration was read without its secrets."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def looks_like_a_key(text: str) -> bool:
    """Returns True if the text begins with 16 letters and digits, as the vendor's own forwarder requires of a key."""
    return re.match("[a-zA-Z0-9]{16}", text) is not None


def secret(value: object, info: ValidationInfo) -> Secret:
    """Reads a secret in any of its forms. Raises FaultAtKey if it is empty, unreadable or not printable."""
    text = _given(value, ValidationContext.of(info))
    if text is None:
        return Secret("")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise FaultAtKey("the secret is empty. Check the file, credential, variable or text.")
    if not text.isprintable():
        raise FaultAtKey("the secret contains a control character, a tab or a second line. Is it the right file?")
    return Secret(text)


def intake_key(value: object, info: ValidationInfo) -> Secret:
    """Reads an intake key as ``header_secret`` does. Raises FaultAtKey also for a path in the place of the key."""
    if isinstance(value, Scalar) and _looks_like_a_path(value):
        raise FaultAtKey("this is a path, not a key. Write intake_key: {file: PATH} to read the key from this file.")
    return header_secret(value, info)


def _looks_like_a_path(text: str) -> bool:
    """Returns True if a text may be a path and is no key, which has letters and digits only."""
    return ("/" in text or text.endswith((".key", ".txt"))) and not looks_like_a_key(text)


def header_secret(value: object, info: ValidationInfo) -> Secret:
    """Reads a secret for an HTTP header: ASCII without spaces (RFC 9110 section 5.5). Raises FaultAtKey."""
    found = secret(value, info)
    if not re.fullmatch("[!-~]*", found.reveal()):
        raise FaultAtKey(
            "the secret contains spaces or non-ASCII characters, which an HTTP header cannot carry. Copy it again,"
            " without any text around it."
        )
    return found


def _given(value: object, reading: ValidationContext) -> str | None:
    """Returns the text of a secret as found, or None if secrets are not read."""
    if isinstance(value, Scalar):
        return str(value)
    if not isinstance(value, Entries) or len(value) != 1:
        raise FaultAtKey(f"invalid secret. Write one of {_FORMS}.")
    ((form, where),) = value.items()
    if form not in ("file", "credential", "env") or not isinstance(where, Scalar) or not where:
        raise FaultAtKey(f"invalid secret. Write one of {_FORMS}.")
    if form == "env" and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", where):
        raise FaultAtKey("invalid name of an environment variable. Use letters, digits and _ only, without $.")
    if form == "credential" and ("/" in where or where in (".", "..")):
        raise FaultAtKey("a credential is a name without a slash. For a path, write {file: PATH}.")
    file = where.path() if form == "file" else None
    if not reading.secrets:
        return None
    if file is not None and "/" in where:
        return _contents(file, f"the secret's file {file}", missing=to_create(file))
    if file is not None:
        # A name without a folder is not quoted: it may be the key itself, written in place of its file.
        missing = "If this is the secret itself, write it to a file, and write {file: PATH} with the path of that file."
        return _contents(file, "the secret's file", missing=missing)
    if form == "credential":
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise FaultAtKey("$CREDENTIALS_DIRECTORY is not set. systemd sets it for units with LoadCredential=.")
        missing = "Add LoadCredential=NAME:PATH to the unit of the service."
        return _contents(Path(directory) / where, f"the credential in {directory}", missing=missing)
    if where not in os.environ:
        raise FaultAtKey("the environment variable is not set. Set it, or use another form of secret.")
    return os.environ[where]


def _contents(path: Path, name: str, *, missing: str) -> str:
    """Returns the text of a file. ``name`` is how a fault names it; ``missing`` says what to do if it is missing."""
    try:
        data = read_regular(path, _LARGEST)
    except TooLarge as error:
        raise FaultAtKey(f"{name} is {error.strerror}. Is it the right file?") from None
    except FileNotFoundError as error:
        raise FaultAtKey(f"cannot read {name}: {error.strerror}. {missing}") from None
    except PermissionError as error:
        raise FaultAtKey(f"cannot read {name}: {error.strerror}. {to_read(path)}") from None
    except OSError as error:
        raise FaultAtKey(f"cannot read {name}: {error.strerror}.") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise FaultAtKey(f"{name} is not UTF-8 text. Is it the right file?") from None


def holds_secret(value: object, texts: Iterable[bytes]) -> bool:
    """Returns True if one of the texts contains a secret of a configuration, or of any part of one."""
    secrets = {found.reveal().encode() for found in _secrets(value)}
    return any(secret in text for text in texts for secret in secrets if secret)


def _secrets(value: object) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif is_dataclass(value):
        for each in fields(value):
            yield from _secrets(getattr(value, each.name))
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _secrets(item)
