"""Who is measured: each takes syslog on a TCP port and delivers to the sink over TLS.

Settings are those of the field: the bridge as it comes but for what the sink needs, so with every event on disk;
syslog-ng in memory mode as `http()` is tuned for such a load (its flow-control window is shared out over
`max-connections`; too small a window makes it wait for the batch timeout).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.harness.bridge import Bridge
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process
from tests.peers import syslog_ng


@dataclass(frozen=True)
class Target:
    """Where events go."""

    port: int
    authority: Path  # PEM of the certificate's authority

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


@dataclass(frozen=True)
class Running:
    """A contender that is ready for load."""

    process: Process
    port: int


def start_bridge(target: Target, directory: Path) -> Running:
    bridge = Bridge(directory, collector_url=target.url, intakes={"bench": {}})
    bridge.configuration["collector"] |= {"compression": "none", "extra_ca_file": str(target.authority)}
    bridge.start()
    assert bridge.process is not None
    return Running(bridge.process, bridge.tcp)


def start_syslog_ng(target: Target, directory: Path) -> Running:
    port = free_port()
    process = syslog_ng.launch(_SYSLOG_NG.format(port=port, target=target), directory=directory)
    process.wait_until(lambda: accepts(port), "it listens")
    return Running(process, port)


_SYSLOG_NG = """@version: 3.38
options {{ threaded(yes); use-dns(no); keep-hostname(yes); stats-freq(0); }};
source load {{
  network(transport("tcp") ip(127.0.0.1) port({port}) max-connections(10) log-iw-size(400000) log-fetch-limit(5000));
}};
destination sink {{
  http(url("{target.url}/plain/batch") method("POST") batch-lines(5000) batch-bytes(1048576) batch-timeout(1000)
       workers(2) delimiter("\\n") body("$MSG") log-fifo-size(1000000)
       headers("X-SEKOIAIO-INTAKE-KEY: bench00000000000")
       tls(ca-file("{target.authority}")));
}};
log {{ source(load); destination(sink); flags(flow-control); }};
"""

CONTENDERS: dict[str, Callable[[Target, Path], Running]] = {
    "bridge": start_bridge,
    "syslog-ng": start_syslog_ng,
}
