"""Runs a bridge under attack beside honest senders over five transports, and measures what the attacks do to it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import hostile_collector
from tests.harness.arrivals import Arrivals
from tests.harness.attacks.attack import Target
from tests.harness.attacks.collector import HOSTILE, PROXIED
from tests.harness.bridge import Bridge, balanced, key_of
from tests.harness.collector import Collector
from tests.harness.control_socket import ControlSocket
from tests.harness.numbered_senders import (
    NUMBERS,
    HttpsSender,
    NumberedSender,
    Pace,
    RelpSender,
    TcpSender,
    TlsSender,
    UdpSender,
)
from tests.harness.pki import Authority
from tests.harness.polling import DEADLINE_SECONDS
from tests.harness.ports import accepts, free_port
from tests.harness.problems import current_problems
from tests.harness.process import Process
from tests.harness.resources import memory_kib
from tests.harness.running import bridging, collecting
from tests.harness.stall_probe import StallProbe

HONEST = "127.0.2."
"""First bytes of the addresses of the honest senders. Their intake is *all*."""
PACES = {
    name: Pace(per_block=per_block, keep_texts=False)
    for name, per_block in (("udp", 100), ("tcp", 50), ("tls", 50), ("relp", 50), ("https", 5))
}
"""20 blocks a second: 5,000 events a second over four transports, and 100 over HTTPS."""
ATTACKED = ("noise", "hostile", "proxied")
"""Intakes that get the events of attackers only."""
SPARE_DESCRIPTORS = 10
"""Open batches and connections to the collectors come and go."""
_ROOT = Path(__file__).parents[2]


@dataclass
class Figures:
    """What was measured while attacks ran, and after them."""

    stall: float = 0.0
    "The longest reactor stall in seconds, measured from outside."
    reported_stall: float = 0.0
    "The same as the bridge reports it."
    memory_mb: float = 0.0
    "The highest resident memory above that of the bridge with honest senders only."
    sent: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    "Honest events that did not arrive, by sender; of those that are acknowledged, only these."
    failures: dict[str, int] = field(default_factory=dict)
    "How often an honest sender was closed or refused."
    doubled: int = 0
    kernel_drops: int = 0
    "Datagrams that the kernel dropped, those of attacks included."
    descriptors: tuple[int, int] = (0, 0)
    "Open descriptors before and after."
    healthy_after: float | None = None
    "Seconds after the attacks until the headline names no problem but the backlogs that attackers have filled."
    settled_after: float | None = None
    "Seconds after the attacks until the headline is healthy, with these backlogs delivered."
    problems: dict[str, float] = field(default_factory=dict)
    "Problems of the headline after the attacks, and the seconds until each was seen for the last time."
    refusals: dict[str, Any] = field(default_factory=dict)
    attacks: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        healthy, settled = (
            "never" if after is None else f"{after:.1f} s" for after in (self.healthy_after, self.settled_after)
        )
        lost = ", ".join(f"{name} {count} of {self.sent[name]}" for name, count in self.lost.items())
        return (
            f"stall {self.stall:.2f} s (reported {self.reported_stall:.2f} s), memory +{self.memory_mb:.0f} MB,"
            f" lost {lost}, failures {self.failures}, doubled {self.doubled}, kernel drops {self.kernel_drops},"
            f" descriptors {self.descriptors[0]} -> {self.descriptors[1]}, healthy after {healthy},"
            f" settled after {settled}, problems {self.problems};"
            f" refusals {self.refusals}; attacks {json.dumps(self.attacks)}"
        )


class AttackedBridge:
    """A bridge with its honest senders, an honest collector and a hostile one."""

    def __init__(self, bridge: Bridge, collector: Collector, hostile: Process, directory: Path) -> None:
        self.bridge = bridge
        self.senders: dict[str, NumberedSender] = {}
        self.figures = Figures()
        self.headline: dict[str, Any] = {}
        self._arrivals = Arrivals(collector.output)
        self._hostile = hostile
        self._directory = directory
        self._authority = Authority(directory / "pki")
        self._probe = StallProbe(bridge.spool)
        self._ports = {"udp": bridge.udp, "tcp": bridge.tcp, "admin": bridge.admin}
        self._process: Process | None = None
        self._memory_before = self._descriptors_before = 0
        self._add_listeners()

    def _add_listeners(self) -> None:
        issued = self._authority.issue("localhost")
        secure = {"cert_file": str(issued.certificate), "key_file": str(issued.private_key)}
        options: dict[str, dict[str, Any]] = {
            "tls": secure,
            "relp": {},
            "post": secure,
            "proxied": {"trusted_proxies": ["127.0.0.0/8"]},
        }
        for name, more in options.items():
            self._ports[name] = free_port()
            kind = {"post": "https", "proxied": "tcp"}.get(name, name)
            self.bridge.configuration["listeners"].append(
                {"name": name, kind: f"127.0.0.1:{self._ports[name]}", **more}
            )

    # --- honest traffic -----------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Starts the bridge and its honest senders, and notes its memory and descriptors once all are served."""
        self.bridge.start()
        self._probe.start()
        ports, paces, ca = self._ports, PACES, self._authority.ca
        first = iter(range(0, 5 * NUMBERS, NUMBERS))
        self.senders = {
            "udp": UdpSender(ports["udp"], next(first), source="127.0.2.1", pace=paces["udp"]),
            "tcp": TcpSender(ports["tcp"], next(first), source="127.0.2.2", pace=paces["tcp"]),
            "tls": TlsSender(ports["tls"], next(first), source="127.0.2.3", ca=ca, pace=paces["tls"]),
            "relp": RelpSender(ports["relp"], next(first), source="127.0.2.4", pace=paces["relp"]),
            "https": HttpsSender(
                ports["post"], next(first), source="127.0.2.5", ca=ca, key=key_of("all"), pace=paces["https"]
            ),
        }
        for sender in self.senders.values():
            sender.start()
        self.bridge.wait_received(15_000)
        self._memory_before, self._descriptors_before = self._memory("VmRSS"), self._descriptors()
        self._reset_peak()
        self._probe.longest()

    def stop_senders(self) -> None:
        for sender in self.senders.values():
            sender.stop()

    # --- attacks ------------------------------------------------------------------------------------------------------
    def start_attacks(self, names: Sequence[str], *, seed: int) -> None:
        """Starts the attacks in a process of their own."""
        assert self.bridge.process is not None
        target = Target(
            ports=self._ports, key=key_of("noise"), configuration=str(self.bridge.file), pid=self.bridge.process.pid,
            answers=str(self._directory / "answers"), directory=str(self._directory),
        )  # fmt: skip
        file = self._directory / "target.json"
        file.write_text(json.dumps(asdict(target)))
        argv = [sys.executable, "-P", "-m", "tests.harness.attacks", str(file), str(seed), *names]
        self._process = Process(argv, directory=self._directory, name="attacks", env={"PYTHONPATH": str(_ROOT)})

    def attack(self, names: Sequence[str], *, seed: int, seconds: float) -> None:
        """Runs attacks for some time. The ledger must balance whenever the status is read."""
        self.start_attacks(names, seed=seed)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._status()
            self._arrivals.refresh()
            time.sleep(1)
        self.stop_attacks()

    def stop_attacks(self) -> None:
        assert self._process is not None
        process, self._process = self._process, None
        assert process.terminate() == 0, process.stderr
        assert "Traceback" not in process.stderr, process.stderr
        self.figures.attacks = json.loads(process.stdout)

    def close(self) -> None:
        """Ends what runs, without checks."""
        if self._process is not None:
            self._process.kill()
        self._hostile.kill()

    # --- after the attacks --------------------------------------------------------------------------------------------
    def measure(self, *, deadline_seconds: float, settled_within: float) -> Figures:
        """Waits until the bridge is healthy beside its honest senders, then until all is delivered.

        `settled_within`: seconds in which the attackers' backlogs must be delivered.

        What does not come true before the deadline is left out of the figures.
        """
        figures, begun = self.figures, time.monotonic()
        self._note_maxima()
        if self._holds(lambda: self._is_healthy(time.monotonic() - begun), begun + deadline_seconds):
            figures.healthy_after = time.monotonic() - begun
        if self._holds(self._is_settled, begun + settled_within):
            figures.settled_after = time.monotonic() - begun
        # What ended connections have sent before is read first.
        self._holds(
            lambda: self._descriptors() <= self._descriptors_before + SPARE_DESCRIPTORS,
            begun + deadline_seconds + DEADLINE_SECONDS,
        )
        figures.descriptors = (self._descriptors_before, self._descriptors())
        self.stop_senders()
        figures.sent = {name: sender.count for name, sender in self.senders.items()}
        self._holds(self._have_arrived, time.monotonic() + deadline_seconds)
        figures.lost = {name: len(missing) for name, missing in self._missing().items()}
        figures.doubled = sum(len(self._arrivals.doubled(sender.first)) for sender in self.senders.values())
        figures.failures = {name: len(sender.failures) for name, sender in self.senders.items()}
        status = self._status()
        figures.kernel_drops = sum(status["kernel_drops"].values())
        figures.refusals = status["refusals"]
        self._note_maxima()
        self._probe.stop()
        assert not self._arrivals.altered, self._arrivals.altered
        return figures

    def _note_maxima(self) -> None:
        figures = self.figures
        figures.stall = max(figures.stall, self._probe.longest())
        text = self._get("/metrics").decode()
        found = re.search(r"^syslog_bridge_reactor_stall_seconds (\S+)$", text, re.MULTILINE)
        figures.reported_stall = max(figures.reported_stall, float(found[1]) if found else 0.0)
        figures.memory_mb = max(figures.memory_mb, (self._memory("VmHWM") - self._memory_before) / 1024)

    def _is_healthy(self, seconds: float) -> bool:
        self.headline = self._status()["headline"]
        problems = [problem for problem in current_problems(self.headline) if not _stays(problem)]
        texts = [problem["text"].partition(":")[0] for problem in problems]
        self.figures.problems |= dict.fromkeys(texts, round(seconds, 1))
        return all(set(problem["affected"]) <= set(ATTACKED) for problem in problems)

    def _is_settled(self) -> bool:
        self.headline = self._status()["headline"]
        return all(map(_stays, current_problems(self.headline)))

    def _have_arrived(self) -> bool:
        """Returns True if no honest event is missing, except datagrams that the kernel may have dropped."""
        lost = {name: len(missing) for name, missing in self._missing().items()}
        return lost.pop("udp") <= sum(self._status()["kernel_drops"].values()) and not any(lost.values())

    def _missing(self) -> dict[str, list[int]]:
        self._arrivals.refresh()
        found = {}
        for name, sender in self.senders.items():
            missing = self._arrivals.missing(sender.first, sender.count)
            found[name] = [number for number in missing if not sender.acknowledges or number in sender.acknowledged]
        return found

    def _status(self) -> dict[str, Any]:
        return balanced(self._get("/api/status"))

    def _get(self, path: str) -> bytes:
        with closing(ControlSocket(self.bridge.spool)) as connection:
            return connection.get(path)

    def _holds(self, condition: Callable[[], bool], end: float) -> bool:
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True

    # --- the process --------------------------------------------------------------------------------------------------
    @property
    def _pid(self) -> int:
        assert self.bridge.process is not None
        return self.bridge.process.pid

    def _memory(self, what: str) -> int:
        return memory_kib(self._pid, what)

    def _reset_peak(self) -> None:
        # 5 resets VmHWM (proc_pid_clear_refs(5)).
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")

    def _descriptors(self) -> int:
        return len(list(Path(f"/proc/{self._pid}/fd").iterdir()))


def _stays(problem: dict[str, Any]) -> bool:
    """Returns True for a problem that shows an operator what attackers have sent, long after the attacks.

    Rejections stay for two hours, held messages for a day. A problem of an honest sender is none of these.
    """
    honest = any(name == "all" or name.startswith(HONEST) for name in problem["affected"])
    return problem["kind"] in ("rejected", "oversize") and not honest


@contextmanager
def attacked(directory: Path) -> Iterator[AttackedBridge]:
    """Runs both collectors for the length of the `with` block; the body starts the bridge."""
    answers, port = directory / "answers", free_port()
    answers.mkdir(parents=True)
    argv = [sys.executable, "-P", hostile_collector.__file__, str(port), str(answers), "1"]
    hostile = Process(argv, directory=directory, name="hostile-collector", env={"PYTHONPATH": str(_ROOT)})
    hostile.wait_until(lambda: accepts(port), "listening")
    url = f"http://127.0.0.1:{port}"
    proxy = {"url": url}
    with (
        collecting(directory) as collector,
        bridging(
            directory, collector.url,
            intakes={"all": {}, "noise": {"url": url, "compression": "none"}, "hostile": {"url": url},
                     "proxied": {"url": url, "proxy": proxy}},
            routes=[{"intake": "all", "source": f"{HONEST}0/24"}, {"intake": "hostile", "source": HOSTILE},
                    {"intake": "proxied", "source": PROXIED}],
            unrouted={"intake": "noise"},
        ) as bridge,
    ):  # fmt: skip
        scenario = AttackedBridge(bridge, collector, hostile, directory)
        try:
            yield scenario
        finally:
            print(scenario.figures.text(), f"headline: {scenario.headline}")
            scenario.close()
            # A collector that stops reads all of its output into memory.
            collector.output.unlink(missing_ok=True)
