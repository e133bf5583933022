"""Tests what a start logs about the machine."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.harness.process import Process
from tests.harness.running import bridging

WITHOUT_PCRE2 = """
import sys
from bridge.util import pcre2
pcre2._SONAMES = ()
from bridge.cli.main import main
sys.argv = ["syslog-bridge", "run", "-c", sys.argv[1]]
main()
"""


def test_missing_pcre2_library_is_logged(tmp_path: Path) -> None:
    with bridging(tmp_path, "http://127.0.0.1:1") as bridge:
        argv = [sys.executable, "-c", WITHOUT_PCRE2, str(bridge.write_configuration())]
        process = Process(argv, directory=bridge.directory, name="bridge")
        try:
            process.wait_until(lambda: "ready:" in process.stderr, "ready")
        finally:
            assert process.terminate() == 0, process.stderr
        assert any("libpcre2-8-0" in line and " warn " in line for line in process.stderr.splitlines()), process.stderr
