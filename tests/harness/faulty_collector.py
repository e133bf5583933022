"""Runs a collector that misbehaves at random or by rule, and records what it accepted.

Usage: python -P faulty_collector.py PORT OUTPUT JSON, where JSON has, each optional:
  `hosts`        loopback addresses to listen on (default 127.0.0.1);
  `seed`         of the random choices below;
  `faults`       {name of `FAULTS`: weight}; the rest up to 1 is a correct answer. Each fault first comes once;
  `control`      a file with the keys of this list that may change while the collector runs: `faults`, `largest` and
                 `listening` (false: new connections are refused);
  `poison_every` an event with the words `number N` is refused (400, and its whole request with it) where N % this == 7;
  `poison`       words that make an event refused in the same way;
  `largest`      bytes of a body, unpacked, above which the answer is 413;
  `refuse_all`   a file: while it exists, every answer is 400;
  `status`       a file: while it exists, every answer is the status that it contains.

Each request becomes a line of OUTPUT before it is answered: `at` (wall time), `key`, `id` (X-Request-ID), `time` (its
event time), `fault`, `count`, `size`, `host`, `taken` (texts of accepted events), `clean` (the sender can know
that they were accepted), and `withheld` (events neither accepted nor refused, though the answer was a success).

It never refuses an event that it has accepted before.
"""

from __future__ import annotations

import email.utils
import json
import random
import re
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from twisted.web.server import NOT_DONE_YET

from bridge.collector.api import IntakeResource
from bridge.collector.body import read_body
from bridge.collector.head import TIMESTAMP_HEADER
from bridge.collector.listening import ListenAddress, listen
from bridge.collector.output import Counting
from bridge.collector.site import IntakeSite
from tests.harness.fault_injection import HTML, NEVER, FaultyResource, InjectedFault

_JSON = (("Content-Type", "application/json"),)
_PAGE = (("Content-Type", "text/html"),)
_NUMBER = re.compile(r"\bnumber (\d+) ")


class Answer(NamedTuple):
    """How a request is answered, and which of its events are accepted."""

    fault: InjectedFault | None
    taken: list[str]
    clean: bool = True
    withheld: list[str] = []  # noqa: RUF012  # never changed
    garbage: bool = False


Maker = Callable[[random.Random, list[str]], Answer]


def _status(status: int, *headers: tuple[str, str], body: bytes = b"") -> Maker:
    return lambda chance, texts: Answer(InjectedFault(status=status, headers=headers or _JSON, body=body), [])


def _not_accepted(fault: InjectedFault) -> Maker:
    """Returns a maker of answers that accept no event."""
    return lambda chance, texts: Answer(fault, [])


def _confirmed(fault: InjectedFault) -> Maker:
    """Returns a maker of answers that accept the events and confirm it."""
    return lambda chance, texts: Answer(fault, texts)


def _unconfirmed(fault: InjectedFault) -> Maker:
    """Returns a maker of answers that accept the events without the sender being able to know it."""
    return lambda chance, texts: Answer(fault, texts, clean=False)


def _shortfall(chance: random.Random, texts: list[str]) -> Answer:
    """Answers with fewer ids than events, without saying which events are missing."""
    taken = texts[: chance.randrange(len(texts))]
    body = json.dumps({"received": True, "event_ids": _ids(len(taken))}).encode()
    return Answer(InjectedFault(headers=_JSON, body=body), taken, withheld=texts[len(taken) :])


def _with_errors(chance: random.Random, texts: list[str]) -> Answer:
    refused = sorted(chance.sample(range(len(texts)), chance.randint(1, max(1, len(texts) // 4))))
    taken = [text for place, text in enumerate(texts) if place not in refused]
    errors = [{"index": place, "status": 422, "message": "not to my taste"} for place in refused]
    body = json.dumps({"received": True, "event_ids": _ids(len(taken)), "errors": errors}).encode()
    return Answer(InjectedFault(headers=_JSON, body=body), taken)


def _with_nulls(chance: random.Random, texts: list[str]) -> Answer:
    ids: list[str | None] = [*_ids(len(texts))]
    ids[place := chance.randrange(len(texts))] = None
    taken = texts[:place] + texts[place + 1 :]
    return Answer(InjectedFault(headers=_JSON, body=json.dumps({"event_ids": ids}).encode()), taken)


def _later(chance: random.Random, texts: list[str]) -> Answer:
    at = email.utils.formatdate(time.time() + 1, usegmt=True)
    return Answer(InjectedFault(status=429, headers=(("Retry-After", at),)), [])


def _garbage(taken: bool) -> Maker:
    return lambda chance, texts: Answer(InjectedFault(), texts if taken else [], clean=False, garbage=True)


def _ids(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


# Answers that refuse the events themselves.
REFUSING: dict[str, Maker] = {
    "400": _status(400, body=b'{"error": "I cannot read this"}'),
    "422": _status(422, body=b'{"error": "I can read this, but no"}'),
    "shortfall": _shortfall,
    "shortfall-with-errors": _with_errors,
    "shortfall-with-nulls": _with_nulls,
}
FAULTS: dict[str, Maker] = {
    **REFUSING,
    "200-html": _status(200, *_PAGE, body=b"<html>Welcome to the hotel's network</html>"),
    "200-wrong-json": _status(200, body=b'{"ok": true}'),
    "200-no-object": _status(200, body=b"[]"),
    "200-empty": _status(200),
    "204": _status(204),
    "taken-200-html": _unconfirmed(
        InjectedFault(accept=True, headers=_PAGE, body=b"<html>Your request was scanned</html>")
    ),
    "taken-without-ids": _confirmed(InjectedFault(accept=True, headers=_JSON, body=b'{"received": true}')),
    "301": _status(301, ("Location", "https://portal.example/")),
    "401": _status(401, body=b'{"error": "who are you?"}'),
    "403": _status(403),
    "403-proxy": _status(403, ("Proxy-Authenticate", "Basic"), *_PAGE, body=b"<html>Access denied</html>"),
    "404": _status(404),
    "405": _status(405),
    "407": _status(407, ("Proxy-Authenticate", "Basic")),
    "408": _status(408),
    "425": _status(425),
    "429": _status(429, ("Retry-After", "1")),
    "429-date": _later,
    "500": _status(500),
    "502": _not_accepted(HTML),
    "503": _status(503, ("Retry-After", "0")),
    "504": _status(504),
    "599": _status(599),
    "taken-500": _unconfirmed(InjectedFault(accept=True, status=500)),
    "taken-502": _unconfirmed(InjectedFault(accept=True, status=502)),
    "taken-504": _unconfirmed(InjectedFault(accept=True, status=504, body=b"")),
    "reset": _not_accepted(InjectedFault(reset=True)),
    "half": _not_accepted(InjectedFault(body=b'{"received": true, "event_ids": []}', cut=9)),
    "taken-half": _unconfirmed(InjectedFault(accept=True, cut=20)),
    "taken-half-reset": _unconfirmed(InjectedFault(accept=True, cut=20, reset=True)),
    "taken-reset": _unconfirmed(InjectedFault(accept=True, reset=True)),
    "slow": _confirmed(InjectedFault(accept=True, delay=0.3)),
    "never": _not_accepted(InjectedFault(delay=NEVER)),
    "taken-never": _unconfirmed(InjectedFault(accept=True, delay=NEVER)),
    "taken-short-length": _unconfirmed(InjectedFault(accept=True, headers=(("Content-Length", "7"),))),
    "taken-long-length": _unconfirmed(InjectedFault(accept=True, headers=(("Content-Length", "99999"),), close=True)),
    "garbage": _garbage(taken=False),
    "taken-garbage": _garbage(taken=True),
    "closed-keep-alive": _confirmed(InjectedFault(accept=True, close=True)),
}


def _text_of(file: Path) -> str:
    """Returns the content of a file; empty if there is none."""
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


class FaultPlan:
    """Chooses the fault of each request and records it."""

    def __init__(self, plan: dict[str, Any], output: Path) -> None:
        self._plan = plan
        self._chance = random.Random(plan.get("seed", 0))
        self._faults: dict[str, float] = plan.get("faults", {})
        assert self._faults.keys() <= FAULTS.keys(), self._faults.keys() - FAULTS.keys()
        self._each_once = sorted(self._faults)
        self._chance.shuffle(self._each_once)
        self._taken: set[str] = set()
        self._output = output.open("a")

    def change(self, plan: dict[str, Any]) -> None:
        """Applies other faults from now on."""
        self._faults = plan.get("faults", {})
        assert self._faults.keys() <= FAULTS.keys(), self._faults.keys() - FAULTS.keys()
        self._each_once.clear()
        self._plan = {**self._plan, "largest": plan.get("largest", 1 << 60)}

    def answer(self, request: Any) -> Answer:
        body = read_body(request)
        texts = body.decode().split("\n")
        name, chosen = self._choose(texts, len(body))
        self._taken.update(chosen.taken)
        line = {
            "at": time.time(),
            "key": request.getHeader("X-SEKOIAIO-INTAKE-KEY"),
            "id": request.getHeader("X-Request-ID"),
            "time": request.getHeader(TIMESTAMP_HEADER),
            "fault": name,
            "count": len(texts),
            "size": len(body),
            "host": request.getHost().host,
            "taken": chosen.taken,
            "clean": chosen.clean,
            "withheld": chosen.withheld,
        }
        self._output.write(json.dumps(line) + "\n")
        self._output.flush()
        return chosen

    def _choose(self, texts: list[str], size: int) -> tuple[str, Answer]:
        plan = self._plan
        if (marker := plan.get("refuse_all")) and Path(marker).exists():
            return "refuse-all", FAULTS["400"](self._chance, texts)
        if (file := plan.get("status")) and (status := _text_of(Path(file))):
            return status, Answer(InjectedFault(status=int(status), headers=_JSON), [])
        if size > plan.get("largest", 1 << 60) and len(texts) > 1:
            return "413", Answer(InjectedFault(status=413, body=b'{"error": "too large"}'), [])
        if any(map(self._is_poison, texts)):
            return "poison", Answer(InjectedFault(status=400, body=b'{"error": "there is poison in it"}'), [])
        name = self._draw()
        if name is None:
            return "none", Answer(None, texts)
        if name in REFUSING and not self._taken.isdisjoint(texts):
            self._each_once.insert(0, name)
            return "none", Answer(None, texts)
        return name, FAULTS[name](self._chance, texts)

    def _draw(self) -> str | None:
        if self._each_once:
            return self._each_once.pop()
        drawn = self._chance.random()
        for name, weight in self._faults.items():
            drawn -= weight
            if drawn < 0:
                return name
        return None

    def _is_poison(self, text: str) -> bool:
        words = self._plan.get("poison")
        if words is not None and words in text:
            return True
        every = self._plan.get("poison_every")
        number = _NUMBER.search(text) if every else None
        return number is not None and int(number[1]) % every == 7


class Collector(FaultyResource):
    """Serves `FaultyResource`, and answers that are not HTTP."""

    def __init__(self, plan: FaultPlan, clock: Any) -> None:
        super().__init__(IntakeResource(Counting()), lambda request: self._chosen.fault, clock)
        self._plan = plan
        self._chosen = Answer(None, [])

    def render(self, request: Any) -> int:
        self._chosen = self._plan.answer(request)
        if not self._chosen.garbage:
            return super().render(request)
        request.notifyFinish().addErrback(lambda gone: None)
        request.transport.write(b"\x16\x03\x01 220 mail.example ESMTP\r\n\r\n")
        request.transport.loseConnection()
        return NOT_DONE_YET


class PlanFile:
    """Reads the control file of a running collector, and applies it."""

    def __init__(self, file: Path, plan: FaultPlan, ports: list[Any]) -> None:
        self._file, self._plan, self._ports = file, plan, ports
        self._read = (0, 0)
        self._listening = True

    def look(self) -> None:
        """Applies the file if it has changed. Called many times a second."""
        if not self._file.exists():
            return
        found = self._file.stat()
        version = (found.st_ino, found.st_mtime_ns)
        if version == self._read:
            return
        self._read, changed = version, json.loads(self._file.read_text())
        self._plan.change(changed)
        if changed.get("listening", True) == self._listening:
            return
        self._listening = not self._listening
        for port in self._ports:
            if self._listening:
                port.startListening()
            else:
                port.stopListening()


def main(port: int, output: Path, plan: dict[str, Any]) -> None:
    from twisted.internet import reactor
    from twisted.internet.defer import ensureDeferred, gatherResults
    from twisted.internet.task import LoopingCall

    faults = FaultPlan(plan, output)
    resource = Collector(faults, reactor)
    listening = gatherResults(
        [
            ensureDeferred(listen(reactor, ListenAddress(host, port), IntakeSite(resource, reactor)))
            for host in plan.get("hosts", ["127.0.0.1"])
        ]
    )

    def failed(failure: Any) -> None:
        print(failure.getErrorMessage(), file=sys.stderr)
        reactor.callWhenRunning(reactor.stop)

    if "control" in plan:
        listening.addCallback(
            lambda ports: LoopingCall(PlanFile(Path(plan["control"]), faults, ports).look).start(0.05) and None
        )
    listening.addErrback(failed)
    reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
