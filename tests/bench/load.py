"""Defines and sends the loads of the benchmark; each is sent by a process of its own.

    python -m tests.bench.load --load W1 --port PORT --events N [--rate EVENTS_PER_SECOND] [--authority PEM]

Prints the monotonic time of the first and of the last byte, so that building the blocks is not measured.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import datagrams, messages, site, streams
from tests.bench.mix import SITE
from tests.bench.site import Site


@dataclass(frozen=True)
class Target:
    """Target of a load on 127.0.0.1, and its rate."""

    port: int
    events: int
    rate: int
    "Events per second; 0: as fast as they are read."
    authority: str | None
    "PEM of the authority of a TLS listener."
    mix: Path = SITE
    "The devices of a site load."


@dataclass(frozen=True)
class Load:
    """A load: its description, its sender, and the settings that contenders need for it."""

    description: str
    send: Callable[[Target], None]
    transport: str = "tcp"
    "Transport of the listener: tcp, udp or tls."
    gzip: bool = False
    "True if the bridge compresses; syslog-ng never does."
    intakes: int = 1
    "Number of intakes of the bridge, each with a route by source address."
    routes: int = 0
    "Number of further routes, by other addresses."
    rate: int = 0
    "Events per second; 0: as fast as they are read."
    connections: int = 4
    request_rate: int | None = None
    "Request rate of the bridge per second; None: more than it needs."
    scattered: bool = False
    "True if the intakes have a `scattered_endpoint`."
    site: Site | None = None
    "The site whose devices send, if it is a site load."
    mix: Path = SITE
    "The devices of the site."


def _full_speed(lines: messages.Lines) -> Callable[[Target], None]:
    return lambda to: streams.full_speed(to.port, to.events, lines, rate=to.rate)


def _spread(name: str, seconds: int) -> Load:
    return Load(
        f"4 TCP connections, 5,000 messages per second, one per write, times spread over {name};"
        " 20 requests per second, scattered_endpoint: /array",
        lambda to: streams.one_each(to.port, messages.spread(to.events, seconds), rate=to.rate),
        rate=5000,
        request_rate=20,
        scattered=True,
    )


def _site(description: str, how: Site, rate: int = 100_000) -> Load:
    return Load(
        description,
        lambda to: site.send(how, to.port, to.events, rate=to.rate, file=to.mix, authority=to.authority),
        transport=how.transport,
        rate=rate,
        # More than the devices of a mix.
        connections=max(1000, how.devices),
        site=how,
    )


SITE_RATES = (50_000, 100_000, 150_000, 200_000)
SITES = {
    "W11": ("UDP from all devices of a site in random order, one intake per product", Site()),
    "W12": ("as W11, one TCP connection per device", Site(transport="tcp")),
    "W11L": ("as W11, three of ten messages have 2,000 bytes", Site(long=0.3)),
}


def at_rate(name: str, rate: int) -> str:
    """Returns the name of a site load at a rate."""
    return f"{name} {rate // 1000}k"


CLIFFS = {
    "W11": ("W11 itself", Site()),
    "random seconds": ("each message has a random second of the last hour", Site(spread=3600)),
    "random shapes": ("each message has the address of a random device", Site(shuffled=True)),
    "5000 sources": ("the same mix from 5,000 devices", Site(devices=5000)),
    "relay": ("500 hosts behind one UDP relay, routed by host name", Site(devices=500, relay=True)),
    "200 intakes": ("200 devices, each with an intake of its own", Site(devices=200, intake_each=True)),
    "2000 bytes": ("all messages have 2,000 bytes", Site(long=1.0)),
    "tcp": ("one TCP connection per device", Site(transport="tcp")),
    "tcp each": ("the same, one write per message", Site(transport="tcp", write_each=True)),
    "tls each": ("the same over TLS, one record per message", Site(transport="tls", write_each=True)),
}
"Loads whose cost is compared with the cost of W11."

SPREADS = {"1 s": 1, "1 min": 60, "1 h": 3600, "1 day": 86_400, "30 days": 30 * 86_400, "1 year": 365 * 86_400}

LOADS = {
    **{
        at_rate(name, rate): _site(f"{text}, {rate:,} messages per second", how, rate)
        for name, (text, how) in SITES.items()
        for rate in SITE_RATES
    },
    **{f"cliff {name}": _site(text, how) for name, (text, how) in CLIFFS.items()},
    "W1": Load("4 TCP connections at full speed, RFC 3164 of 215 bytes, LF framing", _full_speed(messages.unbound)),
    "W2": Load("the same with RFC 5424 of 230 bytes, structured data", _full_speed(messages.structured)),
    "W3": Load(
        "UDP from 20 addresses, RFC 3164 of 215 bytes, at a steady rate",
        lambda to: datagrams.steady(to.port, to.events, messages.unbound, rate=to.rate),
        transport="udp",
        rate=100_000,
    ),
    "W4": Load("as W1 with every vendor's format in random order", _full_speed(messages.vendors)),
    "W4 apart": Load(
        "the same formats, one TCP connection per format",
        lambda to: streams.many_devices(to.port, to.events, messages.devices()),
        connections=len(messages.EXAMPLES),
    ),
    "W5": Load(
        "500 TCP connections from 50 addresses, for 50 intakes, clocks up to 5 s apart",
        lambda to: streams.many_clocks(to.port, to.events, messages.unbound),
        intakes=50,
        connections=500,
    ),
    "W6": Load(
        "as W1, received over TLS",
        lambda to: streams.full_speed(to.port, to.events, messages.unbound, authority=to.authority),
        transport="tls",
    ),
    "W1 small": Load(
        "as W1, one write per message",
        lambda to: streams.full_speed(to.port, to.events, messages.unbound, rate=to.rate, each=True),
    ),
    "W6 small": Load(
        "the same over TLS: one record per message",
        lambda to: streams.full_speed(to.port, to.events, messages.unbound, authority=to.authority, each=True),
        transport="tls",
    ),
    "W7": Load(
        "1,000 TCP connections, one message per read, 20,000 messages per second",
        lambda to: streams.one_by_one(to.port, to.events, messages.unbound, rate=to.rate),
        rate=20_000,
        connections=1000,
    ),
    "W8": Load("as W1 with 10,000 routes by source address", _full_speed(messages.unbound), routes=10_000),
    "W9": Load("as W1, delivered with gzip (only the bridge)", _full_speed(messages.unbound), gzip=True),
    "W10": Load(
        "as W1 from a thousand clocks: each event has its own second; 20 requests per second, the default",
        _full_speed(messages.scattered),
        request_rate=20,
    ),
    **{f"scatter {name}": _spread(name, seconds) for name, seconds in SPREADS.items()},
    "delay": Load(
        "as W1 at 50,000 events per second, with the delay of each event",
        lambda to: streams.timed(to.port, to.events, messages.timed, rate=to.rate),
        rate=50_000,
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", choices=LOADS, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--rate", type=int, help="events per second (default: the rate of the load)")
    parser.add_argument("--authority", help="PEM of the authority of a TLS listener")
    parser.add_argument("--mix", type=Path, default=SITE, help="the devices of a site load")
    options = parser.parse_args()
    load = LOADS[options.load]
    rate = load.rate if options.rate is None else options.rate
    load.send(Target(options.port, options.events, rate, options.authority, options.mix))
    print(time.monotonic(), flush=True)


if __name__ == "__main__":
    main()
