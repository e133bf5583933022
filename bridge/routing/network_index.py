"""Finds the rules that apply to an address by the prefixes of their networks."""

from collections.abc import Iterable, Sequence

from bridge.routing.conditions import Address, Network


class NetworkIndex:
    """Indexes rule numbers by network. A rule without networks applies to every address.

    There is one dictionary per prefix length in use. A lookup takes at most 33 (IPv4) or 129 (IPv6) steps, however many
    rules there are.
    """

    def __init__(self, rules: Iterable[Sequence[Network]]) -> None:
        self._everywhere: list[int] = []
        self._by_length: dict[tuple[int, int], dict[int, list[int]]] = {}
        for number, networks in enumerate(rules):
            if not networks:
                self._everywhere.append(number)
            for network in networks:
                shift = network.max_prefixlen - network.prefixlen
                numbers = self._by_length.setdefault((network.version, shift), {})
                numbers.setdefault(int(network.network_address) >> shift, []).append(number)

    def rules_for(self, address: Address | None) -> list[int]:
        """Returns the numbers of the rules that apply to an address, in order."""
        found = set(self._everywhere)
        if address is not None:
            value = int(address)
            for (version, shift), numbers in self._by_length.items():
                if version == address.version:
                    found.update(numbers.get(value >> shift, ()))
        return sorted(found)
