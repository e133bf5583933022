"""Defines signatures, which identify a product: literals and shapes that a message must have together."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from bridge.explain.products.traits import Traits


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Literals and shapes of one message. All that are given must be present; within one field, one of several.

    Everything is anchored: programs and keys are compared as a whole, expressions match at the beginning of a text. So
    the words of another product within a text do not count.
    """

    programs: str = ""
    "Programs of the header, separated by ``|``. ``*`` at the end stands for any characters."
    text: str = ""
    "Expression that the beginning of the message matches."
    head: str = ""
    "Expression that the beginning of everything after the PRI matches."
    keys: str = ""
    "Keys of a key=value text, or top-level keys of a JSON text. ``key=begins`` compares the value, ignoring case."
    data: str = ""
    "Beginnings of an SD-ID, separated by ``|``."
    cef: str = ""
    "Header of CEF or LEEF: an expression for the vendor, and after `` :: `` one for the beginning of the product."
    shape: str = ""
    "Rules of the header parser, separated by ``|``."
    mnemonic: str = ""
    "Expression that the beginning of a Cisco mnemonic matches: ``%ASA-``."
    message_ids: str = ""
    "Expression for the whole MSGID."
    host: str = ""
    "Expression that the beginning of the header's host matches, ignoring case. It only breaks a tie."
    words: str = ""
    "Description for operators. By default the literals that the message has."
    format: str = ""
    "Text format of these messages, if it is not the product's: its name, or ``-`` for none."
    factor: float = 1.0
    "Reduces the weight of a shape that other texts may have by chance."

    @cached_property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """The literals and shapes, each as (field, value). The weight of each depends on how many products share it."""
        single = [
            (name, value)
            for name in ("programs", "text", "head", "data", "cef", "shape", "mnemonic", "message_ids", "host")
            if (value := getattr(self, name))
        ]
        return (*single, *(("keys", key) for key in self.keys.split()))

    @cached_property
    def tests(self) -> "Tests":
        """The compiled expressions."""
        return Tests(self)

    def matches(self, traits: Traits) -> bool:
        """Returns True if a message has everything that the signature requires."""
        tests = self.tests
        return (
            (not self.shape or traits.shape in tests.shapes)
            and (not self.programs or tests.runs(traits.program))
            and (not self.mnemonic or _matches(tests.mnemonic, traits.mnemonic))
            and (not self.keys or tests.has_keys(traits))
            and (not self.cef or tests.is_cef(traits))
            and (not self.data or traits.data_ids.startswith(tests.data))
            and (not self.message_ids or _matches(tests.message_ids, traits.message_id))
            and (not self.text or _matches(tests.text, traits.text))
            and (not self.head or _matches(tests.head, traits.head))
            and (not self.host or _matches(tests.host, traits.host))
        )


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product, and the signatures that its messages have."""

    name: str
    format: str | None = None
    "Name of the text format that its intake expects, or None if there is none."
    signatures: tuple[Signature, ...]
    appliance: bool = False
    "A device that also sends the messages of its own Unix programs (sshd, cron, kernel)."
    daemon: bool = False
    "A program of any Unix host. Its messages do not prove what the host is."


def product(
    name: str, format: str | None, *signatures: Signature, appliance: bool = False, daemon: bool = False
) -> Product:
    """Returns a row of the table."""
    return Product(name=name, format=format, signatures=signatures, appliance=appliance, daemon=daemon)


class Tests:
    """The expressions of one signature, compiled once."""

    def __init__(self, signature: Signature) -> None:
        self.shapes = frozenset(signature.shape.split("|"))
        programs = [one.encode() for one in signature.programs.split("|") if one]
        self.exact = frozenset(one for one in programs if not one.endswith(b"*"))
        self.prefixes = tuple(one[:-1] for one in programs if one.endswith(b"*"))
        self.mnemonic = _compiled(signature.mnemonic)
        self.message_ids = _compiled(f"(?:{signature.message_ids})\\Z")
        self.text, self.head = _compiled(signature.text), _compiled(signature.head)
        self.host = _compiled(f"(?i:{signature.host})")
        self.data = tuple(one.encode() for one in signature.data.split("|") if one)
        pairs = (key.encode().partition(b"=") for key in signature.keys.split())
        self._keys = [(name, tuple(value.lower().split(b"|")) if value else ()) for name, _, value in pairs]
        vendor, _, name = signature.cef.partition(" :: ")
        self._vendor, self._name = _compiled(f"(?i:{vendor})\\Z"), _compiled(f"(?i:{name})")

    def runs(self, program: bytes) -> bool:
        """Returns True if the program is one of the signature's."""
        return program in self.exact or bool(self.prefixes and program.startswith(self.prefixes))

    def has_keys(self, traits: Traits) -> bool:
        """Returns True if all keys are present, with the values that the signature gives."""
        found = traits.keys
        return all(
            name in found and (not values or found[name].lower().startswith(values)) for name, values in self._keys
        )

    def is_cef(self, traits: Traits) -> bool:
        """Returns True if the CEF or LEEF header names the vendor and the product."""
        return (
            traits.vendor is not None and _matches(self._vendor, traits.vendor) and _matches(self._name, traits.product)
        )


@dataclass(frozen=True, slots=True)
class Match:
    """A signature that a message has, and its weight in bits."""

    product: Product
    signature: Signature
    bits: float = field(compare=False)


def _compiled(expression: str) -> re.Pattern[bytes]:
    return re.compile(expression.encode(), re.DOTALL)


def _matches(expression: re.Pattern[bytes], text: bytes) -> bool:
    return expression.match(text) is not None
