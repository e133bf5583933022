"""Tests that delivery returns to normal by itself once the cause of its errors is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.harness import altered, held
from tests.harness.faulty import faulty
from tests.harness.messages import SentMessage, rfc5424
from tests.harness.polling import until
from tests.harness.running import bridging
from tests.harness.send import send_lines, tcp

EVENT_BYTES = 400
MAX_BYTES = "600KB"


def messages(first: int, count: int) -> list[SentMessage]:
    """Builds messages of ``EVENT_BYTES`` and a little more."""
    now = datetime.now(UTC).replace(microsecond=0)
    short = (rfc5424(first + place, now) for place in range(count))
    return [SentMessage(message.frame + b"x" * EVENT_BYTES, message.text + "x" * EVENT_BYTES) for message in short]


def test_burst_of_413_leaves_no_trace(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("413")
    sent = messages(0, 3000)
    with (
        faulty(tmp_path, status=str(status)) as collector,
        bridging(tmp_path, collector.url, batch={"max_age": "200ms", "max_bytes": MAX_BYTES}) as bridge,
    ):
        constants = altered.SHORT_WAITS | {"bridge.deliver.body_limit.PROBE_EVERY": 0.2}
        altered.start(bridge, constants=constants)

        def intake() -> dict[str, object]:
            (row,) = bridge.status()["intakes"]
            return dict(row)

        send_lines(bridge.tcp, (message.frame for message in sent))
        bridge.wait_received(len(sent))
        until(
            lambda: intake()["body_limit_bytes"] is not None and intake()["state"] == "backing-off"
            and len(collector.refresh()) > 20,
            lambda: str(intake()),
        )  # fmt: skip
        assert "413" in str(intake()["last_error"])
        assert bridge.ledger()["quarantined"] == 0
        status.unlink()
        bridge.wait_drained()
        first = [request for request in collector.refresh() if request.taken]
        # 3,000 events of 400 bytes in bodies of at least 64 KiB, not one by one.
        assert len(first) < 100
        # The limit grows with each full body.
        for _ in range(40):
            if intake()["body_limit_bytes"] is None:
                break
            sent += messages(len(sent), 1500)
            send_lines(bridge.tcp, (message.frame for message in sent[-1500:]))
            bridge.wait_received(len(sent))
            bridge.wait_drained()
        assert intake()["body_limit_bytes"] is None
        held.wait_settled(bridge)
    assert collector.taken() == dict.fromkeys((message.text for message in sent), 1)


def test_first_success_wakes_all_intakes_of_the_url(tmp_path: Path) -> None:
    """The waits are longer than the test, so only the success of another intake ends them."""
    failing = {f"intake-{number}": f"127.0.4.{number}" for number in range(1, 9)}
    source_of = failing | {"late": "127.0.4.100"}
    status = tmp_path / "status"
    status.write_text("500")
    now = datetime.now(UTC)
    with (
        faulty(tmp_path, status=str(status)) as collector,
        bridging(
            tmp_path, collector.url, intakes={name: {} for name in source_of},
            routes=[{"intake": name, "source": source} for name, source in source_of.items()],
        ) as bridge,
    ):  # fmt: skip
        module = "bridge.deliver.retry_state"
        altered.start(bridge, constants={f"{module}.FIRST_WAIT": 600.0, f"{module}.LONGEST_WAIT": 600.0})

        def send(name: str, number: int) -> None:
            with tcp(bridge.tcp, source=source_of[name]) as connection:
                connection.sendall(rfc5424(number, now).frame + b"\n")

        for number, name in enumerate(failing):
            send(name, number)

        def waiting() -> list[str]:
            return [row["name"] for row in bridge.status()["intakes"] if (row["next_attempt_seconds"] or 0) > 200]

        until(lambda: set(waiting()) == set(failing), lambda: str(bridge.status()["intakes"]))
        status.unlink()
        send("late", len(failing))
        bridge.wait_drained()
    assert sum(collector.taken().values()) == len(source_of)
