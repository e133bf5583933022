"""Serves the status page with fixed answers of the API, for states that a running bridge seldom has.

Usage: python -P canned_admin.py PORT FILE, where FILE has the JSON of each path: {"api/status": {...}}. It is read
again for each request.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from bridge.admin.resource import site
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process

Answers = Mapping[str, Any]


@contextmanager
def canned_admin(directory: Path, answers: Answers) -> Iterator[str]:
    """Yields the URL of the page."""
    file, port = directory / "answers.json", free_port()
    directory.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(answers))
    root = str(Path(__file__).parents[2])
    process = Process(
        [sys.executable, "-P", __file__, str(port), str(file)], directory=directory, name="canned_admin",
        env={"PYTHONPATH": root},
    )  # fmt: skip
    try:
        process.wait_until(lambda: accepts(port), "listening")
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()


def main(port: int, file: Path) -> None:
    def answer(path: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(file.read_text())[path]
        return found

    pages = {path: lambda query, path=path: answer(path) for path in json.loads(file.read_text())}  # type: ignore[misc]
    reactor.listenTCP(port, site(pages), interface="127.0.0.1")  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
