"""Starts the contenders: each receives syslog on a port of 127.0.0.1 and delivers to the sink over TLS.

The bridge has its default settings, except for what the sink needs, so every event is on disk. syslog-ng has its
`http()` tuned for the load (its flow-control window is divided by `max-connections`; if it is too small, syslog-ng
waits for the batch timeout), in memory and with its reliable disk buffer. rsyslog, in memory, is built from Debian's
source by `tests/peers/build-omhttp`, as Debian does not package its `omhttp`.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import site_routes
from tests.bench.load import Load
from tests.bench.site_routes import bridge_intakes, bridge_routes
from tests.harness import rabbit
from tests.harness.bridge import Bridge
from tests.harness.polling import until
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process
from tests.peers import rsyslog_http, syslog_ng
from tests.peers.unpacked import PeerMissing


@dataclass(frozen=True)
class Sink:
    """Port of the sink, and the certificates of sink and TLS listeners."""

    port: int
    authority: Path
    "PEM of the authority of `certificate`."
    certificate: Path
    "PEM: private key and chain of localhost, for the sink and for TLS listeners."

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


@dataclass(frozen=True)
class Running:
    """A contender that is ready to receive."""

    process: Process
    port: int


def start_bridge(
    load: Load, sink: Sink, directory: Path, *, watched: bool = False, brokers: list[str] | None = None
) -> Running:
    names = [f"intake-{number}" for number in range(load.intakes)]
    options = {"scattered_endpoint": "/array"} if load.scattered else {}
    intakes = bridge_intakes(load.site, load.mix) if load.site else {name: options for name in names}
    bridge = Bridge(directory, collector_url=sink.url, intakes=intakes)
    configuration = bridge.configuration
    if load.site:
        configuration |= bridge_routes(load.site, load.mix)
    configuration["collector"] |= {
        "compression": "gzip" if load.gzip else "none",
        "extra_ca_file": str(sink.authority),
    }
    if load.request_rate is not None:
        configuration["collector"]["max_request_rate"] = load.request_rate
    port = bridge.udp if load.transport == "udp" else bridge.tcp
    if load.transport == "tls":
        port = free_port()
        listener = {"name": "tls", "tls": f"127.0.0.1:{port}"}
        configuration["listeners"].append(
            listener | {"cert_file": str(sink.certificate), "key_file": str(sink.certificate)}
        )
    routes = [
        {"name": f"other-{n}", "source": f"10.{n >> 8}.{n & 255}.0/24", "intake": names[0]} for n in range(load.routes)
    ]
    if load.intakes > 1:
        routes += [{"name": name, "source": f"127.0.2.{n + 1}", "intake": name} for n, name in enumerate(names)]
    if routes:
        configuration["routes"] = routes
    if brokers is not None:
        # It hands over all events and takes them over itself, so that both are measured.
        configuration["cluster"] = {"amqp": brokers, "queue_prefix": directory.parent.name}
    bridge.start()
    if brokers is not None:
        until(lambda: (bridge.status()["fleet"] or {})["broker_up"], "connected to the brokers")
    assert bridge.process is not None
    if watched:
        # It ends by itself after the bridge has ended.
        argv = [sys.executable, "-m", "tests.bench.looking", str(bridge.admin)]
        subprocess.Popen(argv, cwd=Path(__file__).resolve().parents[2], stdin=subprocess.DEVNULL)
    return Running(bridge.process, port)


def start_sharing(load: Load, sink: Sink, directory: Path) -> Running:
    return start_bridge(load, sink, directory, brokers=_brokers())


@functools.cache
def _brokers() -> list[str]:
    """Starts three brokers for all runs of this process, as they take half a minute to start."""
    if not rabbit.installed():
        raise PeerMissing("rabbitmq-server is not installed (Debian: rabbitmq-server); sh tests/cluster installs it")
    directory = Path(tempfile.mkdtemp(prefix="bench-brokers-"))
    cluster = rabbit.Cluster(directory)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(cluster.stop)
    cluster.start()
    return cluster.urls


RECEIVE_BUFFER = 16 << 20
"Receive buffer of every UDP listener in bytes: the default of the bridge, which its package allows."


def grant_receive_buffers() -> str | None:
    """Allows every process `RECEIVE_BUFFER`, as an administrator would; returns the reason if that fails."""
    most = Path("/proc/sys/net/core/rmem_max")
    try:
        if int(most.read_text()) < RECEIVE_BUFFER:
            most.write_text(str(RECEIVE_BUFFER))
    except OSError as error:
        value = most.read_text().strip()
        return f"net.core.rmem_max is {value} and cannot be raised ({error.strerror}): UDP loses more than necessary"
    return None


def start_syslog_ng(load: Load, sink: Sink, directory: Path, *, disk: bool = False) -> Running:
    port = free_port()
    most = max(10, load.connections + 10)
    window = max(400_000, 1000 * most)
    transport = {
        "tcp": f'transport("tcp") max-connections({most})',
        "tls": f'transport("tls") max-connections({most}) tls(key-file("{sink.certificate}")'
        f' cert-file("{sink.certificate}") peer-verify(no))',
        "udp": f'transport("udp") so-rcvbuf({RECEIVE_BUFFER})',
    }[load.transport] + f" log-iw-size({window}) log-fetch-limit(5000)"
    buffer = (
        f'disk-buffer(mem-buf-size(104857600) disk-buf-size(2147483648) reliable(yes) dir("{directory}"))'
        if disk
        else "log-fifo-size(1000000)"
    )
    flags = "" if load.transport == "udp" else "flags(flow-control);"
    head = _SYSLOG_NG.format(port=port, transport=transport)
    destination = _DESTINATION.replace("URL", sink.url).replace("AUTHORITY", str(sink.authority))
    if load.site:
        paths = site_routes.syslog_ng(destination, load.mix, directory, disk=disk)
        paths = paths.replace(" FLOW)", ")" if load.transport == "udp" else " flow-control)")
    else:
        paths = destination.format(name="sink", buffer=buffer)
        paths += f"log {{ source(load); destination(sink); {flags} }};\n"
    process = syslog_ng.launch(head + paths, directory=directory)
    process.wait_until(lambda: accepts(port) if load.transport != "udp" else _udp_bound(port), "listening")
    return Running(process, port)


def start_rsyslog(load: Load, sink: Sink, directory: Path) -> Running:
    """Starts rsyslog with its queues in memory; only for the loads of a site."""
    if load.site is None or load.transport == "tls":
        raise ValueError("rsyslog is only configured for sites over UDP and TCP")
    port = free_port()
    head = {
        "udp": f'module(load="imudp" threads="2" batchSize="128")\ninput(type="imudp" address="127.0.0.1" port="{port}"'
        f' rcvbufSize="{RECEIVE_BUFFER}")\n',
        "tcp": f'module(load="imptcp" threads="2")\ninput(type="imptcp" address="127.0.0.1" port="{port}")\n',
    }[load.transport]
    action = _OMHTTP.replace("PORT", str(sink.port)).replace("AUTHORITY", str(sink.authority))
    process = rsyslog_http.launch(
        _RSYSLOG.replace("DIRECTORY", str(directory)) + head + site_routes.rsyslog(action, load.mix),
        directory=directory,
    )
    process.wait_until(lambda: accepts(port) if load.transport != "udp" else _udp_bound(port), "listening")
    return Running(process, port)


def _udp_bound(port: int) -> bool:
    return any(f":{port:04X} " in line for line in Path("/proc/net/udp").read_text().splitlines())


_SYSLOG_NG = """@version: 3.38
options {{ threaded(yes); use-dns(no); keep-hostname(yes); stats-freq(0); }};
source load {{ network(ip(127.0.0.1) port({port}) {transport}); }};
"""
_DESTINATION = """destination {name} {{
  http(url("URL/plain/batch") method("POST") batch-lines(5000) batch-bytes(1048576) batch-timeout(1000)
       workers(2) delimiter("\\n") body("$MSG")
       persist-name("{name}") headers("X-SEKOIAIO-INTAKE-KEY: bench00000000000")
       tls(ca-file("AUTHORITY"))
       {buffer});
}};
"""
_RSYSLOG = """global(workDirectory="DIRECTORY" maxMessageSize="64k")
module(load="omhttp")
main_queue(queue.type="LinkedList" queue.size="1000000" queue.dequeueBatchSize="4096" queue.workerThreads="1")
template(name="message" type="string" string="%msg%")
"""
_OMHTTP = """action(type="omhttp" server="localhost" serverport="PORT" restpath="plain/batch" useHttps="on"
       tls.cacert="AUTHORITY" httpheaders=["X-SEKOIAIO-INTAKE-KEY: bench00000000000"] template="message"
       batch="on" batch.format="newline" batch.maxsize="5000" batch.maxbytes="1048576" action.resumeRetryCount="-1"
       queue.type="LinkedList" queue.size="1000000" queue.dequeueBatchSize="5000" queue.minDequeueBatchSize="5000"
       queue.minDequeueBatchSize.timeout="1000")"""

CONTENDERS: dict[str, Callable[[Load, Sink, Path], Running]] = {
    "bridge": start_bridge,
    "bridge watched": lambda load, sink, directory: start_bridge(load, sink, directory, watched=True),
    "bridge sharing": start_sharing,
    "syslog-ng": start_syslog_ng,
    "syslog-ng on disk": lambda load, sink, directory: start_syslog_ng(load, sink, directory, disk=True),
    "rsyslog": start_rsyslog,
}
