"""Replaces configuration files by edited ones, and puts the old ones back if the result is not valid.

Each old file is kept as ``NAME.old``. Owner and rights stay.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.config import ConfigurationError
from bridge.host.privileges import open_folder
from bridge.util.errors import BridgeError
from bridge.util.files import read_regular, replace_in, with_rights_of


class EditError(BridgeError):
    """Raised when edited files were not applied; the text says why. The old files are in place."""


def replace_files(
    before: Mapping[str, str], after: Mapping[str, str], check: Callable[[], None]
) -> Callable[[], None]:  # fmt: skip
    """Writes the files that differ and calls ``check``, which raises ConfigurationError or BridgeError.

    ``before`` has the texts that were edited. Returns a function that puts the old files back. Raises EditError if a
    file was changed meanwhile or the check fails. Raises OSError.
    """
    changed = [file for file, text in after.items() if text != before[file]]
    for file in changed:
        if read_regular(Path(file)) != before[file].encode():
            raise EditError(f"{file} was changed meanwhile, and nothing was written", "Run the command again")
    written: list[str] = []

    def restore() -> None:
        for file in written:
            _replace(Path(file), before[file])

    try:
        for file in changed:
            _replace(Path(file), before[file], suffix=".old")
            written.append(file)
            _replace(Path(file), after[file])
        check()
    except (ConfigurationError, BridgeError) as error:
        restore()
        raise EditError(f"the edited configuration is not used, and the old files are back: {error}") from None
    except OSError:
        restore()
        raise
    return restore


def _replace(path: Path, text: str, *, suffix: str = "") -> None:
    folder = open_folder(path.parent)
    try:
        as_before = with_rights_of(os.stat(path.name, dir_fd=folder))
        replace_in(folder, path.name + suffix, text.encode(), finish=as_before)
    finally:
        os.close(folder)
