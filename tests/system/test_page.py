"""Tests the status page in a real browser, against a running bridge with live traffic."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.harness.bridge import Bridge, key_of
from tests.harness.browser import DESKTOP, PHONE, Browser, browsing
from tests.harness.collector import Collector
from tests.harness.polling import until
from tests.harness.running import bridging, running
from tests.harness.send import send_datagrams, udp
from tests.harness.traffic import traffic

ROWS = "#sources-table tbody tr"
QUARANTINED = "#quarantine-table tbody tr"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as browser:
        browser.resize(DESKTOP)
        yield browser


@contextmanager
def page_opened(browser: Browser, bridge: Bridge, *, ignored: str = "\0") -> Iterator[None]:
    """Opens the page; asserts at the end that the console has no errors except those that contain `ignored`."""
    browser.console_messages()
    browser.open(f"http://127.0.0.1:{bridge.admin}/")
    browser.wait("return document.querySelector('#state').textContent", "page has loaded the status")
    yield
    errors = [each for each in browser.console_messages() if ignored not in each]
    # Its bridge ends before the next page is opened.
    browser.open("about:blank")
    assert errors == []


def show(browser: Browser, section: str) -> None:
    browser.run("location.hash = arguments[0]", f"#/{section}")
    browser.wait(f"return !document.getElementById('{section}').hidden", f"section {section}")


def bsd(text: str, off: float = 0.0) -> bytes:
    when = datetime.now(UTC) + timedelta(seconds=off)
    return f"<13>{when:%b} {when.day:2} {when:%H:%M:%S} {text}".encode()


def send(bridge: Bridge, source: str, *messages: bytes) -> None:
    with udp(source=source) as origin:
        for message in messages:
            origin.sendto(message, ("127.0.0.1", bridge.udp))


def delivered(browser: Browser) -> int:
    return int(browser.text("[data-ledger=delivered] b").replace(",", "") or 0)


def test_page_shows_the_figures_of_the_status(browser: Browser, tmp_path: Path) -> None:
    """Under traffic the figures lie between two status answers; without traffic they are equal to the status."""
    routes = [{"intake": "b", "source": "127.0.1.2"}]
    with running(tmp_path, intakes={"a": {}, "b": {}}, routes=routes) as (_, bridge), page_opened(browser, bridge):
        with traffic(bridge.tcp):
            for _ in range(2):
                before = bridge.ledger()["delivered"]
                until(lambda before=before: delivered(browser) > before, f"more than {before} delivered")  # type: ignore[misc]
                assert delivered(browser) <= bridge.ledger()["delivered"]
        send(bridge, "127.0.1.2", *(bsd(f"app: {n}") for n in range(20)))
        until(lambda: is_settled(bridge), lambda: f"all events are delivered: {bridge.ledger()}")
        status = bridge.status()
        ledger = status["ledger"]
        until(lambda: delivered(browser) == ledger["delivered"], "page shows the last figure")
        for column in ("delivered", "spooled", "buffered", "quarantined", "filtered"):
            assert browser.text(f"[data-ledger={column}] b") == f"{ledger[column]:,}", column
        assert f"received {ledger['received']:,} + " in browser.text("#identity")
        browser.wait("return document.querySelectorAll('#plots canvas').length === 3", "three plots")
        many = str(len(status["sources"]))
        until(lambda: browser.text("[data-figure=sources] dd") == many, f"{many} sources")
        show(browser, "sources")
        browser.wait_count(ROWS, len(status["sources"]))
        sources = [(one["address"], one["listener"], one["intake"], f"{one['events']:,}") for one in status["sources"]]
        until(lambda: sources_shown(browser) == sources, lambda: f"{sources}: {sources_shown(browser)}")
        # An intake that has delivered is idle after a minute.
        until(lambda: intakes_shown(browser) == intakes_of(bridge), lambda: str(intakes_shown(browser)))
        show(browser, "listeners")
        ports = {row["Listener"].split("\n")[0]: int(row["Port"]) for row in table(browser, "#listeners-table")}
        assert ports == status["listeners"]
        with socket.create_connection(("127.0.0.1", bridge.tcp)):
            until(lambda: connections(browser) == {"udp": "–", "tcp": "1\nof 1,000"}, lambda: str(connections(browser)))
        until(lambda: connections(browser)["tcp"].startswith("0"), "the connection is closed")
        # The rate in the headline falls for some seconds.
        until(lambda: browser.text("#headline") == bridge.status()["headline"]["text"], "same headline")
        assert browser.text("#headline").startswith("Healthy")
        assert browser.text("#state") == "✓ Healthy"


def sources_shown(browser: Browser) -> list[tuple[str, ...]]:
    rows = table(browser, "#sources-table")
    return [(row["Source"], row["Listener"], row["Route → intake"].split("\n")[0], row["Events"]) for row in rows]


def is_settled(bridge: Bridge) -> bool:
    """Returns True if all that was sent is delivered: 20 datagrams of 127.0.1.2, and a connection that has ended."""
    status = bridge.status()
    datagrams = sum(row["events"] for row in status["sources"] if row["address"] == "127.0.1.2")
    is_read = status["listener_details"]["tcp"]["connections"] == 0 and datagrams == 20
    return is_read and status["ledger"]["received"] == status["ledger"]["delivered"]


def intakes_shown(browser: Browser) -> list[tuple[str, ...]]:
    rows = table(browser, "#intakes-table")
    return [(row["Intake"], row["State"], row["Delivered"]) for row in rows]


def intakes_of(bridge: Bridge) -> list[tuple[str, ...]]:
    return [(row["name"], row["state"], f"{row['delivered']:,}") for row in bridge.status()["intakes"]]


def connections(browser: Browser) -> dict[str, str]:
    rows = table(browser, "#listeners-table")
    return {row["Listener"].split("\n")[0]: row["Connections"] for row in rows}


def table(browser: Browser, where: str) -> list[dict[str, str]]:
    """Returns the rows of a table, with cells by column name."""
    script = """return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map(row => Object.fromEntries(
        [...row.cells].map(cell => [cell.dataset.label, cell.innerText])))"""
    rows: list[dict[str, str]] = browser.run(script, where)
    return rows


def test_page_explains_problems_in_words(browser: Browser, tmp_path: Path) -> None:
    """Shows a wrong key, an unrouted source with its route, skewed clocks, an outage and its end."""
    collector = Collector(tmp_path / "collector", keys=(key_of("good"),))
    collector.start()
    routes = [{"intake": "good", "source": "127.0.1.0/24"}, {"intake": "wrong", "source": "127.0.2.1"}]
    intakes = {"good": {"format": "fortigate"}, "wrong": {}}
    try:
        with bridging(tmp_path, collector.url, intakes=intakes, routes=routes) as bridge:
            bridge.configuration["unrouted"] = "hold"
            bridge.start()
            with page_opened(browser, bridge):
                send(bridge, "127.0.1.1", bsd("app: behind", -55 * 60))
                send(bridge, "127.0.1.2", bsd("app: local time", 2 * 3600))
                send(bridge, "127.0.2.1", bsd("app: for the wrong key"))
                now = datetime.now(UTC)
                fields = 'devname="fw" devid="FG100F1" logid="0000000013" type="traffic"'
                fortigate = f"<189>date={now:%Y-%m-%d} time={now:%H:%M:%S} {fields}"
                send(bridge, "127.0.3.1", fortigate.encode())
                browser.wait_text("#state", "Critical")
                for words in (
                    "Intake wrong is parked since",
                    "the collector answered 401",
                    "syslog-bridge key set wrong",
                    "match no route",
                ):
                    browser.wait_text("#now", words)
                browser.wait_text("#intakes-table", "parked")
                show(browser, "sources")
                for words in (
                    "55 minutes behind",
                    "set the device's clock",
                    "2 hours ahead: local time without zone",
                    "sources: timezone",
                ):
                    browser.wait_text("#sources-table", words)
                show(browser, "unrouted")
                browser.wait("return document.querySelector('#inbox pre.route')", "the inbox")
                inbox = browser.text("#inbox")
                assert "127.0.3.1" in inbox
                assert 'devname="fw"' in inbox
                assert "Fortinet FortiGate" in inbox
                assert 'source: "127.0.3.1"\n  intake: good' in browser.text("#inbox pre.route")
                show(browser, "quarantine")
                browser.wait_text("#quarantine-table", "no route matches")
                browser.wait_text("#quarantine-reasons", "syslog-bridge unrouted reroute")
                show(browser, "log")
                browser.wait_text("#log-lines", "is parked")
                collector.stop()
                send(bridge, "127.0.1.1", bsd("app: during the outage"))
                browser.wait_text("#now", "Collector unreachable since")
                browser.wait_text("#intakes-table", "backing off")
                browser.wait_text("#intakes-table", "next try in")
                collector.keys = ()
                collector.start()
                until(
                    lambda: not any("unreachable" in text for text in browser.texts("#headline, #problems")),
                    "end of the outage",
                )
    finally:
        collector.kill()


HOSTILE = (
    b"<script>document.title='owned'</script>",
    b"<img/src=x/onerror=document.title='owned'>",
    b"javascript:alert(1)//\"'><svg/onload=document.title='owned'>",
    b"h" * 10_000,
    "\u202eevil\u202c\u2066\u200b\u05e9\u05dc\u05d5\u05dd".encode(),
    b"\x1b[31m\x07\x08\x0bname",
)


def test_hostile_names_neither_run_scripts_nor_break_the_layout(browser: Browser, tmp_path: Path) -> None:
    routes = [{"intake": "all", "source": "127.0.1.0/24"}]
    with running(tmp_path, routes=routes, unrouted="hold") as (_, bridge):
        for position, name in enumerate(HOSTILE):
            when = datetime.now(UTC).isoformat().encode()
            for source in (f"127.0.1.{position + 1}", f"127.0.2.{position + 1}"):
                send(bridge, source, b"<13>1 " + when + b" " + name + b" " + name[:48] + b" - - - text of " + name)
        bridge.wait_received(2 * len(HOSTILE))
        with page_opened(browser, bridge):
            show(browser, "sources")
            browser.wait_count(ROWS, 2 * len(HOSTILE))
            for position in range(len(HOSTILE)):
                open_source(browser, f"127.0.1.{position + 1}")
                browser.wait("return document.querySelector('#source article pre')", "message of the source")
                assert not hidden_characters(browser.text("#source"))
                wide = browser.run("const d = document.querySelector('#source'); return d.scrollWidth - d.clientWidth")
                assert wide <= 0, f"the dialog is {wide} pixels too wide for {HOSTILE[position][:40]!r}"
                browser.click("#source-close")
            for size in (DESKTOP, PHONE):
                browser.resize(size)
                browser.open(f"http://127.0.0.1:{bridge.admin}/")
                for section, rows in (("unrouted", "#inbox article"), ("quarantine", QUARANTINED), ("sources", ROWS)):
                    show(browser, section)
                    browser.wait(f"return document.querySelectorAll('{rows}').length", section)
                    assert browser.run("return document.documentElement.scrollWidth") <= size[0], section
                    foreign = "main script, main img, main svg, dialog script"
                    assert browser.run("return document.querySelectorAll(arguments[0]).length", foreign) == 0
                    assert not hidden_characters(browser.text("body"))
                    assert "owned" not in browser.run("return document.title")
            browser.resize(DESKTOP)


def open_source(browser: Browser, address: str) -> None:
    script = f"[...document.querySelectorAll('{ROWS} button')].find(one => one.innerText === arguments[0]).click()"
    browser.run(script, address)


def hidden_characters(text: str) -> set[str]:
    """Returns characters that reverse text, are invisible, or control a terminal."""
    return {c for c in text if c not in "\n\t" and (ord(c) < 32 or c in "\u202e\u202c\u2066\u200b\x7f")}


def test_page_works_by_keyboard_and_reports_a_stopped_bridge(browser: Browser, tmp_path: Path) -> None:
    # A request may be under way when the bridge stops: refused, reset or without an answer.
    with running(tmp_path) as (_, bridge), page_opened(browser, bridge, ignored="net::ERR_"):
        send(bridge, "127.0.1.1", bsd("app: one"))
        show(browser, "sources")
        browser.wait(f"return document.querySelector('{ROWS} button')", "a source")
        # By keyboard only: open a source, and close it again with the focus back on its row.
        browser.run(f"document.querySelector('{ROWS} button').focus()")
        browser.press("\ue007")
        browser.wait(
            "return document.querySelector('#source').open && document.querySelector('#source pre')", "dialog opens"
        )
        assert browser.run("return document.querySelector('#source').contains(document.activeElement)")
        browser.press("\ue00c")
        browser.wait("return !document.querySelector('#source').open", "dialog closes")
        # The row keeps the focus while its figures change.
        send(bridge, "127.0.1.1", bsd("app: two"))
        browser.wait_text(f"{ROWS} [data-label=Events]", "2")
        assert browser.run(f"return document.activeElement === document.querySelector('{ROWS} button')")
        assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") != "none"
        browser.run("document.querySelector('#find').focus()")
        browser.press(*"127.0.9")
        browser.wait_text("#sources-table", "No sources")
        # While paused, it sends no requests.
        browser.click("#pause")
        browser.wait("return document.querySelector('#live').textContent === 'paused'", "paused")
        browser.click("#pause")
        assert_security_headers(bridge)
        assert browser.console_messages() == []
        bridge.stop()
        # The page keeps polling, and the console reports the refused connections.
        browser.wait_text("#live", "no answer for")


@pytest.mark.long
def test_page_shows_ten_thousand_sources(browser: Browser, tmp_path: Path) -> None:
    many = 10_000
    with running(tmp_path) as (_, bridge):
        sources = [f"127.{1 + n // 62500}.{n // 250 % 250}.{1 + n % 250}" for n in range(many)]
        for start in range(0, many, 500):
            send_datagrams(
                bridge.udp, [(source, bsd("app: x")) for source in sources[start : start + 500]],
                wait_received=lambda n, start=start: bridge.wait_received(start + n),
            )  # fmt: skip
        # The totals are counted every three seconds.
        until(lambda: bridge.status()["sources_count"]["total"] == many, f"{many} sources are counted")
        assert len(bridge.status()["sources"]) == many
        with page_opened(browser, bridge):
            show(browser, "sources")
            browser.wait(f"return document.querySelectorAll('{ROWS}').length === 50", "a page of sources")
            browser.wait_text("#sources-pager .place", f"1–50 of {many:,}")
            browser.click("#sources-pager button + .place + button")
            browser.wait_text("#sources-pager .place", f"51–100 of {many:,}")
            browser.run(
                "const f = document.querySelector('#find'); f.value = '127.1.7.7'; f.dispatchEvent(new Event('input'))"
            )
            browser.wait(
                f"return [...document.querySelectorAll('{ROWS} button')].some(b => b.innerText === '127.1.7.7')",
                "source 127.1.7.7",
            )
            size = browser.run(
                """return Math.max(...performance.getEntriesByType('resource')
                    .filter(one => one.name.includes('/api/')).map(one => one.decodedBodySize))"""
            )
            assert size < 100_000, f"answer of {size} bytes"
        began = time.monotonic()
        code, body = bridge.get("/api/sources?limit=50&sort=rate")
        print(f"50 of {many} sources: {1000 * (time.monotonic() - began):.0f} ms, {len(body)} bytes")
        assert code == 200
        assert reactor_stall(bridge) < 0.5


def reactor_stall(bridge: Bridge) -> float:
    """Returns the longest recent reactor stall in seconds."""
    _, text = bridge.get("/metrics")
    (line,) = [row for row in text.decode().splitlines() if row.startswith("syslog_bridge_reactor_stall_seconds ")]
    return float(line.split()[1])


def assert_security_headers(bridge: Bridge) -> None:
    def ask(path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", bridge.admin, timeout=30)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response

    for path in ("/", "/page.js", "/api/status", "/api/nothing", "/metrics"):
        response = ask(path)
        policy = response.getheader("Content-Security-Policy") or ""
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy
        assert response.getheader("X-Content-Type-Options") == "nosniff", path
        assert response.getheader("Access-Control-Allow-Origin") is None
    assert ask("/api/tail").status == 404, "only the control socket shows messages as they come"
