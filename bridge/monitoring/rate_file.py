"""Keeps the learned rates of sources over restarts, in the small file ``SPOOL/.rates.json``."""

import json
from collections.abc import Mapping
from pathlib import Path

from twisted.logger import Logger

from bridge.monitoring.usual_rate import UsualRate
from bridge.util.files import read_regular, write_replacing
from bridge.util.jobs import Work
from bridge.util.os_errors import described

FILE = ".rates.json"
LARGEST = 16 << 20
"Bytes of the file, at most. A larger one is not read."

log = Logger(namespace="app")

Rates = Mapping[str, tuple[str | None, UsualRate]]
"Address or host name -> the relay in front of it or None, and its usual rate."


class LearnedRates:
    """Reads and writes the file. ``work`` runs a job in the spool thread."""

    def __init__(self, folder: Path, work: Work) -> None:
        self._file = folder / FILE
        self._work = work
        self._failed = False

    def load(self) -> Rates:
        """Returns the rates that an earlier process learned. A file that cannot be read is replaced by the next one."""
        try:
            sources = json.loads(read_regular(self._file, LARGEST, links=False))["sources"]
            return {
                str(address): (None if relay is None else str(relay), UsualRate.from_json(days))
                for address, (relay, days) in sources.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            why = described(error) if isinstance(error, OSError) else "it is damaged"
            log.warn("rates: cannot read {file}, learning begins again: {why}", file=self._file, why=why)
            return {}

    def save(self, rates: Rates) -> None:
        """Writes the file in another thread. The caller must not change the rates afterwards."""
        self._work(lambda: self._write(rates), self._written)

    def _write(self, rates: Rates) -> OSError | None:
        # Encoded in small parts: the interpreter is held for each, and the reactor must not wait for all of them.
        rows = [f"{json.dumps(name)}: {json.dumps([relay, usual.as_json()])}" for name, (relay, usual) in rates.items()]
        try:
            write_replacing(self._file, f'{{"sources": {{{", ".join(rows)}}}}}\n'.encode())
        except OSError as error:
            return error
        return None

    def _written(self, error: OSError | None) -> None:
        if error is not None and not self._failed:
            log.warn("rates: cannot write {file}: {why}; it is tried again", file=self._file, why=described(error))
        self._failed = error is not None
