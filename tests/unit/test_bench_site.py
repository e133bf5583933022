"""Tests that the bridge reads the messages of the site loads as their products write them."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.explain.payloads import FrameContext, event_for
from bridge.formats.registry import find
from bridge.syslog import parse
from tests.bench import cliffs, plan, report, site
from tests.bench.load import CLIFFS
from tests.bench.mix import MIXES, SITE, Message, Pool, Product, read_mix
from tests.bench.rounds import Result

MOMENT = datetime(2026, 11, 23, 7, 24, tzinfo=UTC)
LATER = datetime(2027, 2, 3, 22, 5, 59, tzinfo=UTC)
PRODUCTS = [
    pytest.param(file, product, id=f"{file.stem} {product.product}")
    for file in sorted(MIXES.glob("*.yaml"))
    for product in read_mix(file).products
]


def messages_of(file: Path, product: Product, **options: float) -> list[Message]:
    rendered = read_mix(file).render(600, MOMENT, **options)  # type: ignore[arg-type]
    return [message for message in rendered if message.device.product == product]


def texts_of(pool: Pool) -> list[bytes]:
    return [bytes(pool.buffer[start:end]) for start, end in zip(pool.offsets[:-1], pool.offsets[1:], strict=True)]


@pytest.mark.parametrize(("file", "product"), PRODUCTS)
@pytest.mark.parametrize("long", [0.0, 1.0])
def test_messages_are_read_as_the_product_writes_them(file: Path, product: Product, long: float) -> None:
    messages = messages_of(file, product, long=long)
    assert messages
    pool = Pool(messages)
    pool.set(LATER)
    text_format = find(product.format)
    for message, text in zip(messages, texts_of(pool), strict=True):
        read = parse(text, received=LATER, timezone=ZoneInfo(product.timezone))
        assert read.priority is not None, text
        assert read.timestamp is not None, text
        assert read.timestamp.replace(microsecond=0) == LATER, text
        assert read.hostname in (message.device.host, f"{message.device.host}.example.org", None), text
        context = FrameContext(peer=message.device.address.encode(), received=LATER, zone=ZoneInfo(product.timezone))
        assert text_format.fits(event_for(text_format, text, context)), text
        assert not long or 1990 <= len(text) <= 2010


def test_each_product_has_its_share_and_every_device_sends() -> None:
    mix = read_mix(SITE)
    assert len(mix.products) >= 16
    assert len(mix.devices) >= 200
    assert sum(product.share for product in mix.products) == 100
    rendered = mix.render(12_000, MOMENT)
    for product in mix.products:
        assert sum(message.device.product == product for message in rendered) == 120 * product.share
    assert {message.device for message in rendered} == set(mix.devices)
    assert 150 < sum(len(message.text) for message in rendered) / len(rendered) < 350


def test_scaled_mix_has_exactly_that_many_devices() -> None:
    for devices in (16, 200, 5000):
        mix = read_mix(SITE).scaled(devices)
        assert len(mix.devices) == len({device.address for device in mix.devices}) == devices


def test_spread_messages_have_a_second_of_the_past() -> None:
    messages = read_mix(SITE).render(500, MOMENT, spread=3600)
    pool = Pool(messages)
    pool.set(LATER)
    for message, text in zip(messages, texts_of(pool), strict=True):
        zone = ZoneInfo(message.device.product.timezone)
        timestamp = parse(text, received=LATER, timezone=zone).timestamp
        assert timestamp is not None
        assert timestamp.replace(microsecond=0) == LATER - message.age
    assert len({message.age for message in messages}) > 300


def test_update_keeps_the_dates_of_a_day() -> None:
    pool = Pool(read_mix(SITE).render(500, MOMENT))
    for moment in (LATER, LATER + timedelta(seconds=1), LATER + timedelta(hours=2)):
        pool.set(moment)
        fresh = Pool(read_mix(SITE).render(500, MOMENT))
        fresh.set(moment)
        assert pool.buffer == fresh.buffer


@pytest.mark.parametrize(("relay", "sources"), [(False, 60), (True, 1)])
def test_each_datagram_comes_from_its_device(relay: bool, sources: int) -> None:
    how = site.Site(relay=relay, devices=60)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 400_000)
        site.send(how, receiver.getsockname()[1], 200, rate=1_000_000)
        received = [receiver.recvfrom(4000) for _ in range(200)]
    expected = {(message.device.address, message.device.host) for message in how.messages(SITE)}
    assert len({address for _, (address, _) in received}) <= sources
    for text, (address, _) in received:
        assert (
            relay or any(address == known and host.encode() in text for known, host in expected) or b"filterlog" in text
        )
        read = parse(text, received=datetime.now(UTC), timezone=UTC)
        assert read.priority is not None


def run(contender: str, load: str, *, lost: int = 0, cpu: float = 1.0, rate: int = 0, series: str = "W11") -> Result:
    return Result(
        contender=contender, load=load, round=1, rate=rate, events=1000, delivered=1000 - lost, requests=1,
        events_per_second=1.0, cpu_seconds=cpu, peak_rss_mb=90.0, delay_p99=None, series=series,
    )  # fmt: skip


def test_site_heads_the_report() -> None:
    runs = [run("bridge", "W1", series="W1"), run("syslog-ng", "W1", series="W1")]
    for rate, lost in ((100_000, 0), (150_000, 0), (200_000, 5)):
        load = f"W11 {rate // 1000}k"
        runs += [run("bridge", load, rate=rate, lost=lost), run("syslog-ng", load, rate=rate, cpu=1.5)]
    lines = report.summary(runs)
    assert lines[0].says == "W11, highest rate without loss: 150,000/s over 200,000/s"
    assert lines[1].says == "W11 at 100,000/s over syslog-ng in memory"
    assert (lines[1].value, lines[1].met) == (1.5, "must")
    assert "W1 over" in lines[-2].says
    assert list(plan.SERIES)[:3] == ["W11", "W12", "W11L"]


def test_cliffs_are_compared_within_a_round(capsys: pytest.CaptureFixture[str]) -> None:
    found = {"W11": [run("bridge", "", cpu=1.0)], "relay": [run("bridge", "", cpu=2.5, lost=500)]}
    cliffs.print_table(found)
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[:5] == ["relay", "5000.0", "5.00", "2.0", "500"]
    assert "relay" in CLIFFS
