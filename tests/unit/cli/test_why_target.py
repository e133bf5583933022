"""Tests which senders `why` finds for an address, a name, a DNS name or a socket, and what it refuses."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from threading import Event
from typing import Any

import pytest

from bridge.cli import why_target
from bridge.cli.why_target import Dns, Target, UnknownSenderError, find_targets
from bridge.config import parse_text

CONFIG = parse_text(
    "collector: {region: FRA1}\n"
    "listeners: [{name: udp, udp: '*:514', intake: fw}, {name: local, unix_datagram: /run/x/log},"
    " {name: app, unix_stream: /run/x/app}]\n"
    f"intakes: {{fw: {{intake_key: {'k' * 16}}}}}\nspool: {{directory: x}}\nunrouted: hold\n"
    "sources:\n"
    "- {source: 192.0.2.7, name: fw-lyon}\n"
    "- {source: [10.0.0.0/24], name: branch}\n"
    "- {source: 192.0.2.1, relay: true}\n"
    "- {source: 192.0.2.1, hostname: ['ny-*'], name: new-york}\n"
)
ROWS = [
    {"address": "192.0.2.7", "name": "fw-lyon"},
    {"address": "10.0.0.3", "name": "branch"},
    {"address": "10.0.0.4", "name": "branch"},
    {"address": "paris.example.org", "name": None, "behind": "192.0.2.1"},
    {"address": "198.51.100.9", "name": None},
]


def find(word: str) -> list[dict[str, Any]]:
    return [row for row in ROWS if word in f"{row['address']}\n{row['name'] or ''}"]


class Names(Dns):
    """A resolver that knows one name, whose addresses are given, and the reverse name of one address."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self.addresses = addresses

    def addresses_of(self, name: str) -> list[str]:
        return list(self.addresses)

    def with_name(self, name: str, addresses: Iterable[str]) -> list[str]:
        return [each for each in addresses if (name, each) == ("db3", "198.51.100.9")]


def targets(text: str, rows: bool = True, dns: tuple[str, ...] = ()) -> list[Target]:
    known = find if rows else lambda word: []
    return find_targets(CONFIG, text, known, host="gateway", dns=Names(dns))


def addresses(text: str, rows: bool = True, dns: tuple[str, ...] = ()) -> list[str]:
    return [target.address for target in targets(text, rows, dns)]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.9", "192.0.2.9"), ("::ffff:192.0.2.9", "192.0.2.9"), ("FE80::1%eth0", "fe80::1"),
        ("fw-lyon", "192.0.2.7"), ("FW-Lyon", "192.0.2.7"), ("paris.example.org", "paris.example.org"),
        ("Paris", "paris.example.org"),
    ],
)  # fmt: skip
def test_address_and_name_mean_one_sender(text: str, address: str) -> None:
    assert addresses(text) == [address]


def test_name_of_a_network_means_each_sender_of_it() -> None:
    assert addresses("branch") == ["10.0.0.3", "10.0.0.4"]
    with pytest.raises(UnknownSenderError, match=r"no sender of 'branch' \(10.0.0.0/24\) has sent anything"):
        targets("branch", rows=False)
    with pytest.raises(UnknownSenderError, match=r"no sender of 'new-york' \(ny-\*\) has sent anything"):
        targets("new-york")


def test_configured_name_is_known_before_its_source_has_sent() -> None:
    assert addresses("fw-lyon", rows=False) == ["192.0.2.7"]


def test_dns_name_means_its_addresses_those_that_have_sent_first() -> None:
    assert addresses("db1", dns=("198.51.100.9", "2001:db8::9")) == ["198.51.100.9"]
    (unseen,) = targets("db2", dns=("198.51.100.77",))
    assert unseen == Target("198.51.100.77", note="DNS: db2 is 198.51.100.77")


def test_reverse_name_of_a_source_means_it() -> None:
    assert targets("db3") == [Target("198.51.100.9", note="DNS: the name of 198.51.100.9 is db3")]


def test_reverse_names_are_compared_with_and_without_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    def reverse(address: str) -> tuple[str, list[str], list[str]]:
        if address == "192.0.2.1":
            return "FW1.corp.example", ["gw"], [address]
        raise socket.herror(1, "Unknown host")

    monkeypatch.setattr(socket, "gethostbyaddr", reverse)
    for name in ("fw1", "fw1.corp.example", "GW"):
        assert Dns().with_name(name, ("192.0.2.2", "192.0.2.1")) == ["192.0.2.1"]
    assert Dns().with_name("fw2", ("192.0.2.1",)) == []


def test_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = Event()
    monkeypatch.setattr(why_target, "DNS_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **options: answered.wait(60) and [])
    assert Dns().addresses_of("fw1") == []
    assert not answered.is_set()
    answered.set()


def test_unix_sockets_are_found_by_path() -> None:
    assert targets("/run/x/log") == [Target("gateway", "local", "Unix socket /run/x/log")]
    assert [target.listener for target in targets("unix")] == ["local", "app"]
    with pytest.raises(UnknownSenderError) as raised:
        targets("/dev/log")
    assert str(raised.value).startswith("no listener has the Unix socket '/dev/log'. The sockets are /run/x/log, /run")


@pytest.mark.parametrize(
    "text", ["10.0.0.300", "10.0.0", "10.0.0.0/24", "192.0.2.7:514", "[2001:db8::7]", "2001:db8::zz"]
)
def test_wrong_address_is_refused(text: str) -> None:
    with pytest.raises(UnknownSenderError, match=r"is not an IP address\. Write one address"):
        targets(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [("fw-lion", "did you mean fw-lyon"), ("pariss.example.org", "did you mean paris.example.org"),
     ("zzz", "Known names: fw-lyon, branch, new-york, paris.example.org")],
)  # fmt: skip
def test_unknown_name_is_refused_with_the_nearest_names(text: str, words: str) -> None:
    with pytest.raises(UnknownSenderError) as raised:
        targets(text)
    assert f"no source is called '{text}'" in str(raised.value)
    assert words in str(raised.value)


def test_name_of_an_intake_is_refused_with_the_command_that_shows_it() -> None:
    with pytest.raises(UnknownSenderError) as raised:
        targets("fw")
    assert str(raised.value) == "'fw' is an intake, not a sender: \"syslog-bridge status\" shows it"
