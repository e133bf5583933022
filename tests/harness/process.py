"""Runs a child process: starts it, waits for it, ends it by its pid, and reads its output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.harness.polling import DEADLINE_SECONDS, until

# The console script of the interpreter that runs the tests: the installed program, as a user starts it.
SYSLOG_BRIDGE = str(Path(sys.executable).with_name("syslog-bridge"))


class ProcessExited(AssertionError):
    """The process ended before the expected condition."""


class Process:
    """A child process with its output in files of `directory` (an unread pipe would block it)."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        directory: Path,
        name: str,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        directory.mkdir(parents=True, exist_ok=True)
        self._stdout = directory / f"{name}.stdout"
        self._stderr = directory / f"{name}.stderr"
        with self._stdout.open("ab") as out, self._stderr.open("ab") as err:
            # Restarts under one name share the files; remember where the output of this process begins.
            self._stdout_start, self._stderr_start = out.tell(), err.tell()
            self._popen = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **(env or {})},
                cwd=directory,
                pass_fds=pass_fds,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """Returns None while the process runs; a negative value is the signal that ended it."""
        return self._popen.poll()

    @property
    def stdout(self) -> str:
        return _text(self._stdout, self._stdout_start)

    @property
    def stderr(self) -> str:
        return _text(self._stderr, self._stderr_start)

    def wait_until(
        self, condition: Callable[[], bool], what: str, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Waits for `condition`; raises ProcessExited with stderr if the process ends first."""

        def holds() -> bool:
            if self.exit_code is not None:
                raise ProcessExited(f"{self.name} exited with {self.exit_code} before {what}:\n{self.stderr}")
            return condition()

        text = lambda: f"{self.name}: {what}; stderr:\n{self.stderr}"  # noqa: E731
        until(holds, text, deadline_seconds=deadline_seconds)

    def wait(self, deadline_seconds: float = DEADLINE_SECONDS) -> int:
        """Waits until the process has ended and returns its exit code."""
        until(lambda: self.exit_code is not None, f"exit of {self.name}", deadline_seconds=deadline_seconds)
        assert self.exit_code is not None
        return self.exit_code

    def terminate(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        self._signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Sends SIGKILL, as the out-of-memory killer does."""
        self._signal(signal.SIGKILL)
        self._popen.wait()

    def signal(self, number: int) -> None:
        self._signal(number)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stops the process (SIGSTOP) for the length of the `with` block: a test can change its files meanwhile."""
        self._signal(signal.SIGSTOP)
        try:
            # A thread that is in a system call stops only at its end.
            until(lambda: thread_states(self.pid) == {"T"}, f"{self.name} has stopped")
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._popen.poll() is None:
            self._popen.send_signal(number)


def _text(path: Path, start: int) -> str:
    with path.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="backslashreplace")


def thread_states(pid: int) -> set[str]:
    """Returns the states of a process's threads, such as S (sleeping) and T (stopped); none if a thread just ended."""
    try:
        threads = [(thread / "stat").read_text() for thread in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return set()
    # The state follows the name, which is in parentheses (proc_pid_stat(5)).
    return {thread.rpartition(")")[2].split()[0] for thread in threads}
