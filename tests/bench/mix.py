"""Builds the messages of a site: devices of several products, each with its share, layout and clock.

A mix is a YAML file with one entry per product: `product`, `format` (of the intake), `share` of the messages, number of
`devices`, `timezone` of their clocks (default UTC), and `messages`, which occur equally often. A message may contain

    ${time:LAYOUT}   the time in a layout of strftime; `%s` is the epoch, `%z:` is the offset with a colon
    ${host}          name of the device
    ${inside} ${outside} ${port} ${user} ${digits:N} ${hex:N}     random values
    ${more}          place of the further text of a long message
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

MIXES = Path(__file__).with_name("mixes")
SITE = MIXES / "site.yaml"
_PLACEHOLDER = re.compile(r"\$\{(\w+)(?::([^}]*))?\}")
_USERS = ("jdoe", "asmith", "svc-backup", "mgarcia", "root", "operator")


@dataclass(frozen=True)
class Product:
    """One product of a mix."""

    product: str
    format: str
    share: float
    devices: int
    messages: tuple[str, ...]
    timezone: str = "UTC"


@dataclass(frozen=True)
class Device:
    """One device: its number within its product gives its address and name."""

    product: Product
    network: int
    number: int

    @property
    def address(self) -> str:
        """Returns its address on the loopback interface: each product has a network of its own."""
        return f"127.{self.network}.{self.number >> 8}.{self.number & 255}"

    @property
    def host(self) -> str:
        """Returns its host name, without a hyphen, which Meraki's parser does not read."""
        return f"{self.product.product}{self.number:03}"


_Place = tuple[int, int, str, str]
"""Offset and length of a time in a message, its layout and its time zone."""


@dataclass
class Message:
    """A message of a device, and the places of its times."""

    device: Device
    text: bytes
    places: Sequence[_Place] = field(default_factory=list)
    age: timedelta = timedelta()
    "How far its time lies in the past."


@dataclass(frozen=True)
class Mix:
    """The products of a site."""

    products: tuple[Product, ...]

    @property
    def devices(self) -> list[Device]:
        """Returns all devices, product by product."""
        return [
            Device(product, network(position), number)
            for position, product in enumerate(self.products)
            for number in range(1, product.devices + 1)
        ]

    def scaled(self, devices: int) -> Mix:
        """Returns the same mix with another number of devices, at least one per product."""
        total, position, products = sum(product.devices for product in self.products), 0, []
        left = devices - len(self.products)
        for product in self.products:
            before, position = position, position + product.devices
            products.append(replace(product, devices=1 + left * position // total - left * before // total))
        return Mix(tuple(products))

    def render(self, count: int, moment: datetime, *, long: float = 0.0, spread: int = 0) -> list[Message]:
        """Builds messages in random order: `long` is the share of messages of 2,000 bytes, `spread` the number of past
        seconds from which each message has a random one."""
        chance = random.Random(count)
        devices = {product.product: [d for d in self.devices if d.product is product] for product in self.products}
        # Each product has exactly its share, so that two runs of a load have the same messages.
        total = sum(product.share for product in self.products)
        bounds = [round(count * share / total) for share in accumulate(product.share for product in self.products)]
        chosen: list[Product] = []
        for product, bound in zip(self.products, bounds, strict=True):
            chosen += [product] * (bound - len(chosen))
        chance.shuffle(chosen)
        return [
            _render(
                chance.choice(devices[product.product]),
                moment,
                chance,
                2000 if chance.random() < long else 0,
                timedelta(seconds=chance.randrange(spread) if spread else 0),
            )
            for product in chosen
        ]


def network(position: int) -> int:
    """Returns the second octet of the addresses of a product."""
    return 100 + position


@cache
def read_mix(file: Path = SITE) -> Mix:
    """Reads a mix from a file."""
    products = [Product(**entry | {"messages": tuple(entry["messages"])}) for entry in yaml.safe_load(file.read_text())]
    return Mix(tuple(products))


def written(layout: str, moment: datetime, zone: str) -> str:
    """Returns a time in a layout. All times of a layout have the same length."""
    if layout == "%s":
        return str(int(moment.timestamp()))
    local = moment.astimezone(_zone(zone))
    if layout == "%z:":
        return f"{local:%z}"[:3] + ":" + f"{local:%z}"[3:]
    return f"{local:{layout}}"


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _render(device: Device, moment: datetime, chance: random.Random, size: int, age: timedelta) -> Message:
    parts: list[str] = []
    places: list[_Place] = []
    at = 0
    zone = device.product.timezone
    more = -1
    for literal, name, argument in _parsed(chance.choice(device.product.messages)):
        parts.append(literal)
        at += len(literal)
        if name == "time":
            text = written(argument, moment - age, zone)
            places.append((at, len(text), argument, zone))
        elif name == "more":
            text, more = "", len(parts)
        else:
            text = _value(name, argument, device, chance)
        parts.append(text)
        at += len(text)
    if size > at and more >= 0:
        behind = sum(map(len, parts[:more]))
        parts[more] = _filler(size - at, chance)
        places = [(place + size - at if place >= behind else place, *rest) for place, *rest in places]  # type: ignore[misc]
    return Message(device, "".join(parts).encode(), places, age)


@cache
def _parsed(message: str) -> list[tuple[str, str, str]]:
    """Splits a message into (literal, placeholder, argument); the last placeholder is empty."""
    parts, at = [], 0
    for match in _PLACEHOLDER.finditer(message):
        parts.append((message[at : match.start()], match[1], match[2] or ""))
        at = match.end()
    return [*parts, (message[at:], "", "")]


def _value(name: str, argument: str, device: Device, chance: random.Random) -> str:
    match name:
        case "":
            return ""
        case "host":
            return device.host
        case "inside":
            return f"10.{chance.randrange(10, 99)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
        case "outside":
            return f"198.51.100.{chance.randrange(1, 255)}"
        case "port":
            return str(chance.randrange(1024, 65536))
        case "user":
            return chance.choice(_USERS)
        case "digits":
            return str(chance.randrange(10 ** (int(argument) - 1), 10 ** int(argument)))
        case "hex":
            return f"{chance.getrandbits(4 * int(argument)):0{argument}x}"
        case _:
            raise ValueError(f"unknown placeholder ${{{name}}}")


def _filler(size: int, chance: random.Random) -> str:
    words = " ".join(f"note{chance.randrange(100)} {chance.getrandbits(40):010x}" for _ in range(size // 14 + 1))
    return " " + words[: size - 1]


class Pool:
    """Holds messages in one buffer, whose times are updated in place to the current second."""

    def __init__(self, messages: Sequence[Message], *, end: bytes = b"") -> None:
        self.offsets: list[int] = []
        self._places: list[tuple[int, int, tuple[str, str, timedelta]]] = []
        whole = bytearray()
        for message in messages:
            self.offsets.append(len(whole))
            self._places += [
                (len(whole) + at, len(whole) + at + length, (layout, zone, message.age))
                for at, length, layout, zone in message.places
            ]
            whole += message.text + end
        self.offsets.append(len(whole))
        self.buffer = whole
        # Without the dates, which change once a day at the change of an hour.
        self._clocks = [place for place in self._places if place[2][2] or {"S", "s"} & set(place[2][0])]
        self._moment: datetime | None = None

    def set(self, moment: datetime) -> None:
        """Writes the time into all messages."""
        same_hour = self._moment is not None and self._moment.hour == moment.hour
        self._moment, buffer, texts = moment, self.buffer, dict[tuple[str, str, timedelta], bytes]()
        for start, end, key in self._clocks if same_hour else self._places:
            text = texts.get(key)
            if text is None:
                layout, zone, age = key
                text = texts[key] = written(layout, moment - age, zone).encode()
            buffer[start:end] = text

    def update(self) -> None:
        """Writes the current second if it has changed."""
        moment = datetime.now(UTC).replace(microsecond=0)
        if moment != self._moment:
            self.set(moment)
