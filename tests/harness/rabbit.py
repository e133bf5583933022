"""Runs three RabbitMQ brokers as one cluster on loopback: Debian's `rabbitmq-server`, without its service or its user.

Each node has its own name, ports, data and log. The nodes of a cluster share a cookie and an epmd of their own, so that
they meet neither a broker of the machine nor another cluster. Every process is a child, ended by its pid. A partition
cuts Erlang's distribution: a node gets a wrong cookie for its peers and the connections are closed, while clients still
reach it. A failed switch between brokers looks the same to a bridge.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.harness.polling import until
from tests.harness.ports import accepts, free_port
from tests.harness.process import Process

SCRIPTS = Path("/usr/lib/rabbitmq/bin")
_COOKIE = "syslogbridgetests"
# A broker of a test is small: one scheduler, no busy waiting, little memory.
_ERL = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none +P 65536 +t 1048576 +A 8 +SDio 4"
_BOOT_SECONDS = 120.0
_CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
{tls}loopback_users = none
log.file.level = warning
log.console = false
disk_free_limit.absolute = 1MB
vm_memory_high_watermark.absolute = 512MB
cluster_partition_handling = pause_minority
cluster_formation.peer_discovery_backend = classic_config
raft.wal_max_size_bytes = 16777216
collect_statistics_interval = 30000
net_ticktime = 8
{peers}
"""


def installed() -> bool:
    """Returns True if this machine can run a broker."""
    return (SCRIPTS / "rabbitmq-server").exists() and shutil.which("erl") is not None


class Broker:
    """One node; it can be killed and started again with its data."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self.name = f"node{number}@localhost"
        self.port, self.tls_port, self._distribution = free_port(), free_port(), free_port()
        self.directory = cluster.directory / f"node{number}"
        self.process: Process | None = None
        self._cluster = cluster

    @property
    def url(self) -> str:
        return f"amqp://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"amqps://localhost:{self.tls_port}"

    def launch(self) -> None:
        """Starts the broker and returns at once."""
        self.directory.mkdir(parents=True, exist_ok=True)
        peers = "\n".join(
            f"cluster_formation.classic_config.nodes.{each.number} = {each.name}" for each in self._cluster.brokers
        )
        tls = "".join(f"{key} = {value}\n" for key, value in self._cluster.tls.items())
        if tls:
            tls = f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n{tls}"
        configuration = self.directory / "rabbitmq.conf"
        configuration.write_text(_CONFIGURATION.format(port=self.port, tls=tls, peers=peers))
        plugins = self.directory / "enabled_plugins"
        plugins.write_text("[].\n")
        env = self._cluster.environment | {
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_SERVER_ERL_ARGS": _ERL,
            # The script then execs Erlang, so that the pid is the broker's.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        self.process = Process([str(SCRIPTS / "rabbitmq-server")], directory=self.directory, name="broker", env=env)

    def wait_started(self) -> None:
        """Waits until the broker accepts clients."""
        assert self.process is not None, f"{self.name} was not launched"
        process = self.process
        process.wait_until(lambda: accepts(self.port), f"{self.name} accepts clients", deadline_seconds=_BOOT_SECONDS)

    def start(self) -> None:
        self.launch()
        self.wait_started()

    def kill(self) -> None:
        """Sends SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def evaluate(self, expression: str) -> str:
        """Returns the value of an Erlang expression on this node."""
        return self._cluster.control(self, "eval", expression)


class Cluster:
    """Three brokers of one cluster."""

    def __init__(self, directory: Path, *, tls: Mapping[str, str] | None = None, size: int = 3) -> None:
        """`tls` holds lines of rabbitmq.conf, such as `ssl_options.cacertfile`; each broker then has a TLS port too."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.tls = dict(tls or {})
        cookie = directory / ".erlang.cookie"
        cookie.write_text(_COOKIE)
        cookie.chmod(0o400)
        self._epmd_port = free_port()
        self._epmd: Process | None = None
        self.environment = {
            "HOME": str(directory),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
            "NOTIFY_SOCKET": "",
        }
        self.brokers = [Broker(self, number) for number in range(1, size + 1)]

    @property
    def urls(self) -> list[str]:
        return [broker.url for broker in self.brokers]

    @property
    def tls_urls(self) -> list[str]:
        return [broker.tls_url for broker in self.brokers]

    def start(self) -> None:
        """Starts all brokers; returns once they form one cluster."""
        argv = ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
        self._epmd = Process(argv, directory=self.directory, name="epmd", env=self.environment)
        self._epmd.wait_until(lambda: accepts(self._epmd_port), "epmd listens")
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait_started()
        self.wait_formed()

    def wait_formed(self) -> None:
        """Waits until every broker sees all others."""
        size = len(self.brokers)
        expression = "length(rabbit_nodes:all_running())."
        until(
            lambda: all(broker.evaluate(expression).strip() == str(size) for broker in self.brokers),
            "brokers form one cluster",
            deadline_seconds=_BOOT_SECONDS,
            every_seconds=0.5,
        )

    def stop(self) -> None:
        """Kills all brokers; the data is removed with the test's directory."""
        for broker in self.brokers:
            broker.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd = None

    def control(self, broker: Broker, *command: str) -> str:
        """Runs a `rabbitmqctl` command for one node and returns its output; raises AssertionError if it fails."""
        argv = [str(SCRIPTS / "rabbitmqctl"), "--node", broker.name, "--quiet", *command]
        done = subprocess.run(
            argv,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=_BOOT_SECONDS,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
        return done.stdout

    # --- faults -------------------------------------------------------------------------------------------------------
    def leader_of(self, queue: str) -> Broker:
        """Returns the broker that leads a quorum queue."""
        expression = (
            f'{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{queue}">>)),'
            " {_, Node} = amqqueue:get_pid(Q), atom_to_list(Node)."
        )
        alive = next(broker for broker in self.brokers if broker.process is not None)
        name = alive.evaluate(expression).strip().strip('"')
        return next(broker for broker in self.brokers if broker.name == name)

    def partition(self, broker: Broker) -> None:
        """Cuts a broker off from its peers; clients still reach it."""
        self._cookies(broker, "wrong")

    def heal(self, broker: Broker) -> None:
        """Undoes `partition`; the brokers reconnect by themselves."""
        self._cookies(broker, _COOKIE)

    def _cookies(self, broker: Broker, cookie: str) -> None:
        names = ", ".join(f"'{each.name}'" for each in self.brokers if each is not broker)
        broker.evaluate(f"[begin erlang:set_cookie(N, {cookie}), erlang:disconnect_node(N) end || N <- [{names}]].")

    def raise_disk_alarm(self, broker: Broker) -> None:
        """Raises the disk alarm of a broker: all brokers block publishers."""
        self.control(broker, "set_disk_free_limit", "1000000GB")

    def clear_disk_alarm(self, broker: Broker) -> None:
        """Undoes `raise_disk_alarm`."""
        self.control(broker, "set_disk_free_limit", "1MB")
