"""Runs a function in a forked process that is killed right after its N-th filesystem call."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from typing import Any

CALLS = (
    (io, "open"), (os, "open"), (os, "mkdir"), (os, "rename"), (os, "replace"), (os, "link"), (os, "unlink"),
    (os, "write"), (os, "pwrite"), (os, "ftruncate"), (os, "fsync"), (os, "utime"),
)  # fmt: skip


def killed_after(count: int, function: Callable[[], object]) -> bool:
    """Runs `function` in a fork and kills it after `count` filesystem calls. Returns False if it ended before that."""
    child = os.fork()
    if child == 0:
        try:
            _arm(count)
            function()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), f"exit code {code} after {count} filesystem calls"
    return code != 0


def _arm(count: int) -> None:
    left = count

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def replacement(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            result = original(*arguments, **named)
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return replacement

    for module, name in CALLS:
        setattr(module, name, counted(getattr(module, name)))
