"""Loads a configuration in a child process, so that the running bridge does not stall.

Loading ten thousand routes takes about a second of Python. A thread would not help: while it runs, the reactor loses
the interpreter lock at each system call. The child returns the finished `Config` by pickle, over a pipe between two
processes of the same program and user.
"""

import os
import pickle
import subprocess
import sys
from pathlib import Path

from bridge.config.faults import ConfigurationError
from bridge.config.loading import load
from bridge.config.model import Config
from bridge.util.files import write_all

LARGE = 64 * 1024
"Bytes of configuration from which a child process is worth its start."


def load_in_subprocess(path: Path | str) -> Config:
    """Loads a configuration in a child process and waits for it.

    Raises ConfigurationError as `load` does, and OSError if the child cannot be started or fails.
    """
    child = subprocess.run(
        [sys.executable, "-m", __name__, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
    )
    if child.returncode:
        text = f"the process that loads the configuration failed with exit code {child.returncode}"
        raise OSError(0, text, str(path))
    result = pickle.loads(child.stdout)
    if isinstance(result, Config):
        return result
    raise ConfigurationError(result)


def is_large(files: tuple[Path, ...]) -> bool:
    """Returns True if the files together reach LARGE bytes; False if the size of one cannot be read."""
    try:
        return sum(file.stat().st_size for file in files) >= LARGE
    except OSError:
        return False


def _main(path: str) -> None:
    # Only the operator waits for a reload, so message processing has priority.
    os.nice(10)
    try:
        result: object = load(path)
    except ConfigurationError as error:
        result = error.faults
    # With PYTHONUNBUFFERED, a write to sys.stdout loses what the pipe does not take at once.
    write_all(sys.stdout.fileno(), pickle.dumps(result, pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    _main(sys.argv[1])
