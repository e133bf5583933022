"""Provides a sink of the collector that keeps all events in memory."""

from bridge.collector.delivery import Delivery, Event


class Memory:
    """Keeps all deliveries."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []

    def accept(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    @property
    def events(self) -> list[Event]:
        """All events in order of arrival."""
        return [event for delivery in self.deliveries for event in delivery.events]
