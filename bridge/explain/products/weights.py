"""Finds the products that one message may be of, with the weight of the evidence in bits.

A literal or a shape that only one product has weighs log2 of the number of products; one that half of the products
share weighs one bit. The weight of a signature is the sum of its parts. Only the factor of a shape that other texts may
have by chance is set by hand.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from math import log2

from bridge.explain.products import (
    table_access,
    table_applications,
    table_cef,
    table_cisco,
    table_cloud,
    table_endpoints,
    table_firewalls,
    table_fortinet,
    table_hosts,
    table_network,
    table_programs,
    table_proxies,
    table_services,
    table_systems,
    table_virtualisation,
)
from bridge.explain.products.signature import Match, Product, Signature
from bridge.explain.products.traits import Traits

PRODUCTS: tuple[Product, ...] = tuple(
    row
    for table in (
        table_access,
        table_applications,
        table_cef,
        table_cisco,
        table_cloud,
        table_endpoints,
        table_firewalls,
        table_fortinet,
        table_hosts,
        table_network,
        table_programs,
        table_proxies,
        table_services,
        table_systems,
        table_virtualisation,
    )
    for row in table.PRODUCTS
)  # fmt: skip
"""All products, in no order."""

ENOUGH = 5.0
"Bits that a message needs to be counted for a product."
TIE = 0.05
"Difference in bits below which two products are equally likely for a message."
HOST = 0.5
"Bits of a host name: it breaks a tie and proves nothing."

Entry = tuple[Product, Signature, float]
"A signature of a product and its weight."


class SignatureTable:
    """The products, prepared for matching."""

    def __init__(self, products: Sequence[Product]) -> None:
        shared = Counter(literal for row in products for literal in _literals_of(row))
        most = log2(len(products))
        self._by_program: defaultdict[bytes, list[Entry]] = defaultdict(list)
        self._by_prefix: list[tuple[bytes, Entry]] = []
        self._by_key: defaultdict[bytes, list[Entry]] = defaultdict(list)
        self._by_vendor: list[Entry] = []
        self._others: list[Entry] = []
        self._named: defaultdict[bytes, set[str]] = defaultdict(set)
        self.entries: tuple[Entry, ...] = tuple(
            (row, one, one.factor * sum(_weight(*part, shared, most) for part in one.parts))
            for row in products for one in row.signatures
        )  # fmt: skip
        "All signatures."
        for entry in self.entries:
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        row, signature, _ = entry
        tests = signature.tests
        for program in tests.exact:
            self._by_program[program].append(entry)
            self._named[program].add(row.name)
        self._by_prefix += [(prefix, entry) for prefix in tests.prefixes]
        if signature.programs:
            return
        if signature.keys:
            self._by_key[signature.keys.split()[0].partition("=")[0].encode()].append(entry)
        elif signature.cef:
            self._by_vendor.append(entry)
        else:
            self._others.append(entry)

    def matches(self, traits: Traits) -> list[Match]:
        """Returns the best match of each product, the heaviest first.

        A program that the table names decides: only products that name it, or that the rest of the header proves, are
        candidates. So text that a program writes for somebody else, such as the name of a user, cannot stand for
        another product.
        """
        named = self._named.get(traits.program)
        best: dict[str, Match] = {}
        for row, one, bits in self._candidates(traits):
            if named and row.name not in named and not (one.programs or one.shape or one.data):
                continue
            if (row.name not in best or best[row.name].bits < bits) and one.matches(traits):
                best[row.name] = Match(row, one, bits)
        return sorted(best.values(), key=lambda match: (-match.bits, match.product.name))

    def _candidates(self, traits: Traits) -> Iterable[Entry]:
        yield from self._others
        if traits.program:
            yield from self._by_program.get(traits.program, ())
            for prefix, entry in self._by_prefix:
                if traits.program.startswith(prefix):
                    yield entry
        for key in traits.keys:
            yield from self._by_key.get(key, ())
        if traits.vendor is not None:
            yield from self._by_vendor


@cache
def table() -> SignatureTable:
    """Returns the prepared table. The first call takes some milliseconds."""
    return SignatureTable(PRODUCTS)


def likely(matches: Iterable[Match]) -> list[Match]:
    """Returns the matches that are enough evidence and as heavy as the heaviest."""
    heavy = [match for match in matches if match.bits >= ENOUGH]
    return [match for match in heavy if match.bits >= heavy[0].bits - TIE]


def _literals_of(row: Product) -> set[tuple[str, str]]:
    """Returns the literals and shapes of a product, each once."""
    return {
        (name, literal)
        for signature in row.signatures
        for name, value in signature.parts
        for literal in _alternatives(name, value)
    }


def _alternatives(name: str, value: str) -> list[str]:
    if name == "keys":
        return [value.partition("=")[0], *([value] if "=" in value else ())]
    return value.split("|") if name in ("programs", "shape", "data") else [value]


def _weight(name: str, value: str, shared: Counter[tuple[str, str]], most: float) -> float:
    if name == "host":
        return HOST
    # A key with a value weighs as much as the value. Alternatives weigh as much as the most common of them, so that a
    # long list is no advantage.
    literals = [value] if name == "keys" else _alternatives(name, value)
    return min(most - log2(shared[name, literal]) for literal in literals)
