"""Keeps the configuration to go back to if a new one is not confirmed, also over a restart of the process.

``SPOOL/.confirm.json`` has the hash of the new configuration, the texts of the previous one, and the time until which
the new one may be confirmed. A start with another configuration than the new one ignores it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.config import Config, ConfigurationError, load_again
from bridge.util.files import read_regular, write_replacing

FILE = ".confirm.json"
_LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A new configuration that is not confirmed, and the previous one."""

    sha256: str
    "The hash of the new configuration."
    previous_sha256: str
    texts: Mapping[str, bytes]
    "The files of the previous configuration, as in ``Config.texts``."
    until: float | None
    "The end of the wait in seconds since the epoch. None: it is over, and the previous configuration is in use."


def write(folder: Path, unconfirmed: Unconfirmed) -> None:
    """Writes the file; only its owner may read it. Raises OSError."""
    # Absolute names, as the next process may start in another folder.
    texts = {
        str(Path(name).absolute()): text.decode("utf-8", "surrogateescape") for name, text in unconfirmed.texts.items()
    }
    fields = {
        "sha256": unconfirmed.sha256, "previous_sha256": unconfirmed.previous_sha256, "until": unconfirmed.until,
        "texts": texts,
    }  # fmt: skip
    write_replacing(folder / FILE, json.dumps(fields).encode(), mode=0o600)


def remove(folder: Path) -> None:
    """Removes the file, if there is one. Raises OSError."""
    (folder / FILE).unlink(missing_ok=True)


def choose(config: Config, now: float) -> tuple[Config, Unconfirmed | None, str]:
    """Returns the configuration to start with, what waits for confirmation, and a sentence for the log, or "".

    ``config`` was read from disk; ``now`` is in seconds since the epoch. If the configuration on disk was not confirmed
    in time, the previous one is chosen.
    """
    try:
        found = _read(config.spool.directory)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # The spool is opened next, and reports its own faults.
        return config, None, ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is damaged"
        return config, None, f"cannot read {config.spool.directory / FILE}: {why}. The configuration on disk is used"
    if found.sha256 != config.sha256:
        return config, None, ""
    if found.until is not None and now < found.until:
        return config, found, "the configuration is not confirmed"
    try:
        previous = load_again(found.texts)
    except ConfigurationError as error:
        text = "the configuration on disk is used, although it was not confirmed: the previous one cannot be used"
        return config, None, f"{text}: {error.faults[0]}"
    text = "the configuration on disk was not confirmed in time. The previous one is used"
    return previous, replace(found, until=None), text


def _read(folder: Path) -> Unconfirmed:
    fields = json.loads(read_regular(folder / FILE, _LARGEST, links=False))
    texts = {str(name): str(text).encode("utf-8", "surrogateescape") for name, text in fields["texts"].items()}
    until = fields["until"]
    if not texts:
        raise ValueError("no texts")
    return Unconfirmed(
        str(fields["sha256"]), str(fields["previous_sha256"]), texts, None if until is None else float(until)
    )
