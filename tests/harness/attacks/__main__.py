"""Runs attacks until SIGTERM, each in a thread, and prints as JSON how often each did what it does.

    python -m tests.harness.attacks TARGET.json SEED NAME...

It runs at a low priority: it shows what the bridge does under attack, not what is left of a busy machine.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
from pathlib import Path

from tests.harness.attacks.attack import Target
from tests.harness.attacks.catalogue import build

_LONGEST = 3600.0
"""Seconds after which it ends by itself."""
_NICENESS = 10


def main(file: str, seed: int, names: list[str]) -> None:
    os.nice(_NICENESS)
    # It holds the other ends of a thousand connections.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    attacks = build(names, Target(**json.loads(Path(file).read_text())), seed=seed)
    threads = [threading.Thread(target=attack.run, args=(stop,), daemon=True) for attack in attacks]
    for thread in threads:
        thread.start()
    stop.wait(_LONGEST)
    stop.set()
    for thread in threads:
        thread.join()
    counts = {each.name: {"steps": each.steps, **each.failures, **each.answers} for each in attacks}
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
