"""Tests bursts of datagrams while the listener pauses between drains: nothing is lost, and the ledger is exact."""

from __future__ import annotations

import socket
import time
from collections import Counter
from pathlib import Path

from bridge.listen.drain_pause import LARGE_BUFFER
from tests.harness.polling import until
from tests.harness.running import running

STEADY = 8000
"Datagrams per second before each burst: enough for the longest pauses."
BURST = 6000
_BYTES_EACH = 1024
"Bytes of the receive buffer that one datagram takes: 768 in the kernel's count."


def granted_buffer(size: int) -> int:
    """Returns the receive buffer that the kernel grants to the bridge, which this user started."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, 33, size)
        except OSError:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        return probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def test_bursts_after_a_steady_stream_and_after_silence_are_received(tmp_path: Path) -> None:
    sent = 0
    with (
        running(tmp_path, intakes={"all": {}}, batch={"max_age": "200ms"}) as (collector, bridge),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as origin,
    ):
        origin.connect(("127.0.0.1", bridge.udp))

        def send(count: int, rate: int) -> None:
            nonlocal sent
            begun = time.monotonic()
            for number in range(count):
                if rate and number > (time.monotonic() - begun) * rate:
                    time.sleep(0.001)
                origin.send(b"<13>Nov 24 00:00:00 gw app: number %d in a stream" % sent)
                sent += 1

        def received() -> tuple[int, int]:
            status = bridge.status()
            return status["ledger"]["received"], status["kernel_drops"]["udp"]

        for _ in range(2):
            send(STEADY // 2, STEADY)
            send(BURST, 0)
            until(lambda: sum(received()) >= sent, lambda: f"{sent} sent, {received()} received and dropped")
            # The socket is empty: the next datagram comes after silence.
        bridge.wait_drained()
        taken, dropped = received()
        assert taken + dropped == sent
        if granted_buffer(16 * LARGE_BUFFER) >= sent * _BYTES_EACH:
            assert dropped == 0, "the buffer holds all that was sent"
        numbers = Counter(event.text.split()[1] for event in collector.wait_for(taken))
        assert len(numbers) == numbers.total() == taken
