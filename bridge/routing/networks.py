"""Which of many rules name a network that holds an address, without looking at each rule.

One dictionary per prefix length in use: an address is looked up at most 33 or 129 times, however many rules there are.
"""

from collections.abc import Iterable, Sequence

from bridge.routing.conditions import Address, Network


class NetworkIndex:
    """Rule numbers by network; rules without networks hold for every address."""

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
        """The numbers of the rules whose networks hold the address, in their order."""
        found = set(self._everywhere)
        if address is not None:
            value = int(address)
            for (version, shift), numbers in self._by_length.items():
                if version == address.version:
                    found.update(numbers.get(value >> shift, ()))
        return sorted(found)
