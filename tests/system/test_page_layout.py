"""Tests how the status page looks and is operated: links, keys, words, contrast, screens; with fixed answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import faulty_day
from tests.harness.browser import PHONE, Browser, browsing
from tests.harness.canned_admin import canned_admin
from tests.harness.page_checks import BROKEN_WORDS, FAINT, NAMELESS, WIDER
from tests.harness.polling import until

WIDE = (1440, 900)
SECTIONS = ("overview", "intakes", "sources", "unrouted", "quarantine", "listeners", "log")
PLACES = (*SECTIONS, "intakes/firewalls-frankfurt")

# What each section shows once its own answers have arrived.
LOADED = {
    "overview": "#plots canvas", "intakes": "#intakes-table canvas", "sources": "#sources-table tbody tr",
    "unrouted": "#inbox article", "quarantine": "#quarantine-table tbody tr", "listeners": "#listeners-table tbody tr",
    "log": "#log-lines li", "intakes/firewalls-frankfurt": "#intake canvas",
}  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with canned_admin(tmp_path_factory.mktemp("page"), faulty_day.ANSWERS) as url:
        yield url


def show(browser: Browser, url: str, place: str) -> None:
    browser.open("about:blank")
    browser.open(f"{url}#/{place}")
    browser.wait("return document.querySelector('#state').textContent", "page has loaded the status")
    browser.wait(f"return document.querySelector('{LOADED[place]}')?.checkVisibility()", f"{place} has its content")


def choose(browser: Browser, selector: str, value: str) -> None:
    change = "e.value = arguments[1]; e.dispatchEvent(new Event('input'))"
    browser.run(f"const e = document.querySelector(arguments[0]); {change}", selector, value)


def copy(browser: Browser, selector: str) -> str:
    """Clicks a copy button and returns its next text, which it has for two seconds only: the page itself notes it."""
    script = """const button = document.querySelector(arguments[0]);
        const text = new Promise(done => new MutationObserver(() => done(button.innerText)).observe(
            button, {childList: true, characterData: true, subtree: true}));
        button.click();
        return text"""
    return str(browser.run(script, selector))


def press_for(browser: Browser, letter: str, section: str) -> None:
    """Presses g and a letter until the section is shown. The letter counts for 1.5 s, which a slow browser may miss."""

    def is_shown() -> bool:
        browser.press("g", letter)
        return bool(browser.run("return !document.getElementById(arguments[0]).hidden", section))

    until(is_shown, section)


def shown(browser: Browser) -> Any:
    return browser.run("return [...document.querySelectorAll('.view')].filter(e => !e.hidden).map(e => e.id)")


@pytest.mark.parametrize("place", PLACES)
def test_no_word_is_broken_and_nothing_is_wider_than_the_screen(browser: Browser, url: str, place: str) -> None:
    for size in (WIDE, PHONE):
        browser.resize(size)
        show(browser, url, place)
        assert browser.run(WIDER) == [], size
        if size is WIDE:
            assert browser.run(BROKEN_WORDS) == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_text_has_contrast_and_controls_have_names(browser: Browser, url: str, place: str, dark: bool) -> None:
    browser.resize(WIDE, dark=dark)
    show(browser, url, place)
    assert browser.run(FAINT) == []
    assert browser.run(NAMELESS) == []
    assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches") is dark


def test_problems_come_first_with_links_to_what_they_affect(browser: Browser, url: str) -> None:
    browser.resize(WIDE)
    show(browser, url, "overview")
    assert browser.text("#state").startswith("✕ Critical")
    assert browser.text("#headline").startswith("71,827 events dropped since 04:40")
    problems = browser.texts("#problems li")
    assert len(problems) == len(faulty_day.PROBLEMS)
    assert "To do: Restore delivery, then raise max_size" in problems[0]
    assert "Since 04:40, for 2 h · Affects firewalls-frankfurt" in problems[0]
    assert "and 22 more" in problems[-1]
    links = browser.run("return [...document.querySelectorAll('#problems a')].slice(0, 8).map(a => a.hash)")
    assert links[0] == "#/intakes/firewalls-frankfurt"
    assert "#/sources?find=192.0.2.77" in links
    ledger = next(text for text in problems if "The ledger does not balance" in text)
    assert "Affects ledger" in ledger, "without a link"
    assert browser.run("return [...document.querySelectorAll('#problems a')].every(a => a.innerText !== 'ledger')")
    ended = browser.texts("#ended-list li")
    assert ended[0].split("\n")[0].startswith("Nov 22 21:52 to Nov 22 22:22 (30 min)")
    lost = "return getComputedStyle(document.querySelector('[data-figure=lost] dd')).color"
    assert browser.run(lost) == "rgb(179, 38, 30)"
    assert browser.text("[data-figure=lost] dd") == "73,031", "spool and kernel"
    assert browser.text("[data-figure=full]") == "until proxies-munich has no room\n9 h", "the earliest"
    assert "full in 3 d" in browser.text("#spool")
    assert browser.run("return getComputedStyle(document.querySelector('#headline')).color") == browser.run(lost)
    assert browser.text("#announcement") == "Critical: 9 problems"
    browser.click("#problems a")
    browser.wait_text("#intake h3", "firewalls-frankfurt")
    assert shown(browser) == ["intakes"]
    focused = "return document.activeElement.innerText.split('\\n')[0]"
    browser.wait(f"{focused} === 'firewalls-frankfurt'", "the intake has the focus")
    browser.click("#intake a.button")
    browser.wait("return document.querySelector('#intake').hidden", "the intake is closed")
    assert browser.run("return document.activeElement.hash") == "#/intakes/firewalls-frankfurt"


def test_sections_are_reached_by_keys_and_links(browser: Browser, url: str) -> None:
    browser.resize(WIDE)
    show(browser, url, "overview")
    for number, name in enumerate(SECTIONS, start=1):
        browser.press(str(number))
        browser.wait(f"return !document.getElementById('{name}').hidden", name)
        assert shown(browser) == [name]
        assert browser.run("return document.activeElement.id") == f"{name}-title"
        assert browser.run("return document.querySelector('#sections [aria-current=page]').hash") == f"#/{name}"
    for letter, name in zip("oisuqlg", SECTIONS, strict=True):
        press_for(browser, letter, name)
        browser.click(f"#sections a[href='#/{SECTIONS[0] if name == 'log' else 'log'}']")
    browser.press("?")
    browser.wait("return document.querySelector('#help').open", "the list of keys")
    assert len(browser.texts("#help-keys dt")) == len(SECTIONS) + 4
    browser.press("2")
    assert shown(browser) != ["intakes"], "keys belong to the dialog"
    browser.press("\ue00c")
    browser.wait("return !document.querySelector('#help').open", "the list is closed")
    # On the overview there is nothing to filter, so the sources are shown.
    browser.press("1", "/")
    browser.wait("return document.activeElement.id === 'find'", "filter of the sources")
    browser.press(*"2g", "?")
    assert browser.run("return document.activeElement.value") == "2g?"
    assert shown(browser) == ["sources"]
    browser.press("\ue00c", "p")
    browser.wait("return document.querySelector('#live').textContent === 'paused'", "paused")
    # While paused, a section is loaded when it is shown.
    browser.press("7")
    browser.wait_text("#log-lines", "ready: udp-514")
    browser.press("p")
    # A browser's history leads through the sections.
    browser.run("history.back()")
    browser.wait("return !document.getElementById('sources').hidden", "back at the sources")


def test_shortcuts_can_be_switched_off(browser: Browser, url: str) -> None:
    browser.resize(WIDE)
    show(browser, url, "overview")
    browser.click("#help-on")
    show(browser, url, "overview")
    browser.press("2")
    assert shown(browser) == ["overview"]
    browser.click("#help-on")
    browser.press("2")
    browser.wait("return !document.getElementById('intakes').hidden", "intakes")


def test_filters_show_what_matches(browser: Browser, url: str) -> None:
    browser.resize(WIDE)
    show(browser, url, "log")
    choose(browser, "#log-level", "error")
    assert set(browser.texts("#log-lines b")) == {"error"}
    assert browser.text("#log-count") == "30 of the last 90 lines"
    show(browser, url, "intakes")
    states = browser.texts("#intakes-table .state")
    assert states[-2:] == ["delivering", "idle"], "problems come first"
    assert browser.text("#intakes-table").count("full in") == 1, "not for events in transit"
    browser.press("/", *"munich")
    browser.wait_count("#intakes-table tbody tr", 1)
    show(browser, url, "quarantine")
    choose(browser, "#quarantine-only", "refused")
    browser.wait_count("#quarantine-table tbody tr", 1)


def test_rejected_and_silent_senders_have_a_place(browser: Browser, url: str) -> None:
    browser.resize(WIDE)
    show(browser, url, "sources")
    rejected = browser.text("#rejected")
    for words in ("192.0.2.77", "plain text on a TLS port", "48", "or let the sender use TLS", "not in allow"):
        assert words in rejected
    assert "192.0.2.9" in browser.text("#silent")
    assert "format that fits: cisco-ios" in browser.text("#changed")
    browser.run("location.hash = '#/sources?find=192.0.2.77'")
    browser.wait_count("#rejected-table tbody tr", 1)
    assert browser.run("return document.querySelector('#find').value") == "192.0.2.77"
    assert browser.text("#silent-table").strip() == "None match the filter."


def test_source_shows_its_history(browser: Browser, url: str) -> None:
    browser.resize(WIDE)
    show(browser, url, "sources")
    browser.click("#sources-table tbody button")
    browser.wait_text("#source", "Changed format")
    text = browser.text("#source")
    for words in (
        "rfc5424 97 %, other 3 %", "840 a minute at 06:00, now 12; alert below 420",
        "48 times, last at 2026-11-23 06:51",
        "accepted since 2026-11-23 06:50 UTC", "To do: if it was updated, set format: cisco-ios", "sw %ASA-1", "sw IOS",
    ):  # fmt: skip
        assert words in text
    for dark in (False, True):
        browser.resize(WIDE, dark=dark)
        assert browser.run(FAINT) == []
    browser.resize(PHONE)
    assert browser.run("const d = document.querySelector('#source'); return d.scrollWidth - d.clientWidth") <= 0


def test_listeners_show_connections_losses_and_certificates(browser: Browser, url: str) -> None:
    browser.resize(WIDE)
    show(browser, url, "listeners")
    text = browser.text("#listeners-table")
    for words in (
        "1,204", "raise net.core.rmem_max", "204\nof 1,000", "plain text 40", "besides 1,440 health checks",
        "expires in 5 d: renew it",
    ):  # fmt: skip
        assert words in text
    assert "admin.listen" in text
    assert 'Add "*.branch.example.com" to client_names' in browser.text("#clients")


def test_commands_and_routes_are_copied(browser: Browser, url: str) -> None:
    browser.resize(WIDE)
    origin = url.rstrip("/")
    browser.devtools("Emulation.setFocusEmulationEnabled", enabled=True)
    permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    browser.devtools("Browser.grantPermissions", origin=origin, permissions=permissions)
    show(browser, url, "quarantine")
    assert copy(browser, "#quarantine-reasons .copy") == "Copied"
    copied = browser.run("return navigator.clipboard.readText()")
    assert copied == "syslog-bridge quarantine list --reason refused"
    show(browser, url, "unrouted")
    assert browser.text("#inbox article").count("Paste it into bridge.yaml below line") == 2
    assert copy(browser, "#inbox .intake + .copy") == "Copied"
    assert browser.run("return navigator.clipboard.readText()").startswith("fortinet-fortigate:")
    assert copy(browser, "#inbox .route + .copy") == "Copied"
    route = faulty_day.ANSWERS["api/unrouted"]["unrouted"][0]["route"]
    assert browser.run("return navigator.clipboard.readText()") == route


def test_each_plot_has_a_legend(browser: Browser, url: str) -> None:
    browser.resize(WIDE)
    for place, count in (("overview", 3), ("intakes/firewalls-frankfurt", 2)):
        show(browser, url, place)
        browser.wait_count(".view:not([hidden]) .plot canvas", count)
        legends = browser.run("""return [...document.querySelectorAll('.view:not([hidden]) figure')].map(f =>
            [...f.querySelectorAll('.legend li')].map(e => e.innerText))""")
        assert len(legends) == count
        assert all(all(any(c.isdigit() for c in entry) for entry in legend) and legend for legend in legends), legends
    assert browser.text("#intakes .key").startswith("in out: events per second")


def test_console_stays_empty_in_all_sections(browser: Browser, url: str) -> None:
    browser.console_messages()
    for place in PLACES:
        show(browser, url, place)
    assert browser.console_messages() == []
