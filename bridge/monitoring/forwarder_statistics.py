"""Writes statistics as the vendor's forwarder does, so that its intake format and detection rules work.

The forwarder is rsyslog with impstats: every five minutes one JSON object per part, whose counters begin at 0 each
time. The intake format takes the name of the intake from ``name``, behind the first hyphen. The vendor's detection rule
fires if ``full``, ``discarded.full`` or ``discarded.nf`` of a queue is not 0.

====================  ==============================================================================================
input-LISTENER(PORT)  ``submitted``: messages received; ``disallowed``: connections and datagrams rejected. A Unix
                      socket has no ``(PORT)``
socket-LISTENER       the receive buffer of a UDP listener; ``discarded.full``: datagrams that the kernel dropped
ruleset-INTAKE        the spool of an intake; ``discarded.full``: events that were dropped because they could not be
                      stored, or for newer ones; ``full``: how often it had no room
output-INTAKE         delivery; ``processed``: events that were delivered or failed; ``failed``: events that the
                      collector refused or did not confirm; ``suspended``: how often delivery backed off or parked
quarantine-unrouted   frames without an intake
TCP-HOST-PORT         ``bytes.sent``: bytes of the delivered events
resource-usage        CPU time in microseconds since start, as rsyslog gives it, memory and open files
====================  ==============================================================================================
"""

import json
import os
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from bridge.accounting import UNROUTED, Account
from bridge.accounting.ledger import PURGED
from bridge.monitoring.self_events import SelfEvents
from bridge.monitoring.status import Status

EVERY = 5.0
"Seconds between two looks at the states of the intakes."

_ORIGINS = {"udp": "imudp", "relp": "imrelp", "https": "imhttp", "unix": "imuxsock", "unix_datagram": "imuxsock"}
"rsyslog's module for each kind of listener; others are imtcp."
_STORAGE_REASONS = ("spool_write_failed", "spool_file_damaged", "spool_file_missing", "damaged")

JSON = dict[str, object]


@dataclass(slots=True)
class _IntakeWatch:
    """Observations of an intake since the last statistics; ``most`` is since the start."""

    was_suspended: bool = False
    was_full: bool = False
    suspended: int = 0
    suspended_seconds: float = 0.0
    resumed: int = 0
    full: int = 0
    most: int = 0

    def look(self, state: str, waiting: int, seconds: float) -> None:
        """Takes the state of the intake, which it has had for some seconds."""
        suspended, full = state in ("backing-off", "parked"), state == "full"
        self.suspended += suspended and not self.was_suspended
        self.resumed += self.was_suspended and not suspended
        self.suspended_seconds += seconds if suspended else 0.0
        self.full += full and not self.was_full
        self.was_suspended, self.was_full = suspended, full
        self.most = max(self.most, waiting)

    def begin(self) -> None:
        """Begins a new interval. An intake that is still full was full in it."""
        self.suspended = self.resumed = 0
        self.suspended_seconds = 0.0
        self.full = int(self.was_full)


class ForwarderStatistics:
    """Writes the statistics of one bridge. ``clock`` returns monotonic seconds."""

    def __init__(self, self_events: SelfEvents, status: Status, clock: Callable[[], float]) -> None:
        self._self_events = self_events
        self._status = status
        self._clock = clock
        self._watches: dict[str, _IntakeWatch] = {}
        self._before: Counter[str] = Counter()
        self._looked = self._began = clock()

    def look(self) -> None:
        """Observes the intakes, and writes the statistics when they are due. Called every ``EVERY`` seconds."""
        now = self._clock()
        passed, self._looked = now - self._looked, now
        if not self._self_events.writes_statistics:
            self._before, self._began = self._readings(), now
            self._watches.clear()
            return
        rows = self._status.intakes()
        for row in rows:
            watch = self._watches.setdefault(str(row["name"]), _IntakeWatch())
            watch.look(str(row["state"]), int(str(row["backlog_events"])), passed)
        admin = self._self_events.config.admin
        if admin.alerts_intake is not None and now - self._began >= admin.alerts_statistics_every.total_seconds():
            self._began = now
            self._self_events.write(admin.alerts_intake, [json.dumps(event) for event in self._events(rows)])
            for watch in self._watches.values():
                watch.begin()

    def _events(self, rows: list[JSON]) -> Iterator[JSON]:
        readings = self._readings()
        since = readings.copy()
        since.subtract(self._before)
        self._before = readings
        yield from self._inputs(since)
        for row in rows:
            name, waiting = str(row["name"]), int(str(row["backlog_events"]))
            watch = self._watches[name]
            yield _queue(
                f"ruleset-{name}", waiting, enqueued=since[f"received {name}"], full=watch.full,
                discarded=since[f"discarded {name}"], most=watch.most,
            )  # fmt: skip
            failed = max(0, since[f"failed {name}"])
            yield {
                "name": f"output-{name}", "origin": "core.action", "processed": since[f"delivered {name}"] + failed,
                "failed": failed, "suspended": watch.suspended,
                "suspended.duration": round(watch.suspended_seconds), "resumed": watch.resumed,
            }  # fmt: skip
        if UNROUTED in self._status.ledger.accounts:
            held = self._status.ledger.of(None).quarantined
            discarded = since[f"discarded {UNROUTED}"]
            yield _queue(
                "quarantine-unrouted", held, enqueued=since[f"received {UNROUTED}"], full=int(discarded > 0),
                discarded=discarded, most=held,
            )  # fmt: skip
        yield from self._outputs(since)
        yield _resource_usage()

    def _inputs(self, since: Counter[str]) -> Iterator[JSON]:
        ports, drops = self._status.listener_set.ports(), self._status.listener_set.kernel_drops()
        for listener in self._self_events.config.listeners:
            name, port = listener.name or "", str(ports.get(listener.name or "", 0))
            event: JSON = {"submitted": since[f"submitted {name}"], "disallowed": since[f"rejected {name}"]}
            if listener.kind == "udp":
                host = getattr(listener.udp, "host", "") or "*"
                port = f"{host}/{port}/{'IPv6' if ':' in host else 'IPv4'}"
            # A Unix socket has no port.
            shown = name if listener.unix_path else f"{name}({port})"
            yield {"name": f"input-{shown}", "origin": _ORIGINS.get(listener.kind, "imtcp"), **event}
            if name in drops:
                dropped = since[f"kernel {name}"]
                received = since[f"submitted {name}"] + dropped
                yield _queue(
                    f"socket-{name}", 0, enqueued=received, full=int(dropped > 0), discarded=dropped, most=0
                )  # fmt: skip

    def _outputs(self, since: Counter[str]) -> Iterator[JSON]:
        sent: Counter[str] = Counter()
        for name, intake in self._self_events.config.intakes.items():
            parts = urlsplit(intake.destination.url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            sent[f"TCP-{parts.hostname}-{port}"] += since[f"bytes {name}"]
        for name, size in sent.items():
            yield {"name": name, "origin": "omfwd", "bytes.sent": size}

    def _readings(self) -> Counter[str]:
        """Returns the counters since start, by what they count and of which intake or listener."""
        found: Counter[str] = Counter()
        for name, account in self._status.ledger.accounts.items():
            discarded = _discarded(account)
            others = account.dropped.total() - account.dropped[PURGED] - discarded
            found[f"received {name}"] = account.received + account.recovered + account.replayed + account.transferred
            found[f"delivered {name}"] = account.delivered
            found[f"bytes {name}"] = account.delivered_bytes
            found[f"discarded {name}"] = discarded
            # Includes events that wait in quarantine. A retry takes them back.
            found[f"failed {name}"] = others + account.quarantined
        listener_set = self._status.listener_set
        for title, counts in (
            ("submitted", self._status.pipeline.read_counts.by_listener),
            ("rejected", listener_set.refused()),
            ("kernel", listener_set.kernel_drops()),
        ):
            found.update({f"{title} {name}": count for name, count in counts.items()})
        return found


def _discarded(account: Account) -> int:
    """Returns the events that were dropped because they could not be stored or kept."""
    return sum(
        count
        for reason, count in account.dropped.items()
        if reason in _STORAGE_REASONS or reason.endswith(("_full", "write_failed"))
    )


def _queue(name: str, size: int, *, enqueued: int, full: int, discarded: int, most: int) -> JSON:
    return {
        "name": name, "origin": "core.queue", "size": size, "enqueued": max(0, enqueued), "full": full,
        "discarded.full": discarded, "discarded.nf": 0, "maxqsize": max(most, size),
    }  # fmt: skip


def _resource_usage() -> JSON:
    used = resource.getrusage(resource.RUSAGE_SELF)
    files = 0
    with suppress(OSError):
        files = len(os.listdir("/proc/self/fd"))
    return {
        "name": "resource-usage", "origin": "impstats", "utime": int(used.ru_utime * 1_000_000),
        "stime": int(used.ru_stime * 1_000_000), "maxrss": used.ru_maxrss, "minflt": used.ru_minflt,
        "majflt": used.ru_majflt, "inblock": used.ru_inblock, "oublock": used.ru_oublock, "nvcsw": used.ru_nvcsw,
        "nivcsw": used.ru_nivcsw, "openfiles": files,
    }  # fmt: skip
