"""Tests the connection in a child process, so that one command can test it several times: a reactor runs only once."""

import os
import pickle
from collections.abc import Sequence

from bridge.config import Config
from bridge.setup.check_result import StepResult
from bridge.setup.connection_check import probe
from bridge.util.errors import BridgeError


def probe_in_child(config: Config, connect: bool, send_test: bool) -> Sequence[StepResult]:
    """Tests as ``connection_check.probe`` does, and may be called again. Raises BridgeError if the child fails."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receiving)
            with open(sending, "wb") as pipe:
                pickle.dump(probe(config, connect, send_test), pipe)
            code = 0
        finally:
            # Neither the output that the parent has buffered nor its exit handlers belong to the child.
            os._exit(code)
    os.close(sending)
    with open(receiving, "rb") as pipe:
        data = pipe.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or not data:
        raise BridgeError("the connection test has failed with a defect", "Use --no-connect, and report its output.")
    results: list[StepResult] = pickle.loads(data)
    return results
