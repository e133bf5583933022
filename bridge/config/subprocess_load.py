"""A configuration read by a process of its own, for a program that must not stand still meanwhile.

To read ten thousand routes takes a second of Python, in which another thread of the same process gets hardly a turn:
each call to the kernel gives the interpreter away. What comes back is the finished `Config`, by pickle, over a pipe
between two processes of the same program and user.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

from bridge.config.faults import ConfigurationError
from bridge.config.load import load
from bridge.config.model import Config

LARGE = 64 * 1024
"Bytes of configuration from which a process is worth its start."


def load_elsewhere(path: Path | str) -> Config:
    """As `load`; blocks until the other process is done. Raises ConfigurationError; OSError where there is none."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise OSError(0, f"the process that reads the configuration ended with {done.returncode}", str(path))
    result = pickle.loads(done.stdout)
    if isinstance(result, Config):
        return result
    raise ConfigurationError(result)


def is_large(files: tuple[Path, ...]) -> bool:
    """Whether files are worth a process of their own. What cannot be asked is not."""
    try:
        return sum(file.stat().st_size for file in files) >= LARGE
    except OSError:
        return False


def _main(path: str) -> None:
    # Nobody waits for this but an operator; messages do not wait.
    os.nice(10)
    try:
        result: object = load(path)
    except ConfigurationError as error:
        result = error.faults
    sys.stdout.buffer.write(pickle.dumps(result, pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    _main(sys.argv[1])
