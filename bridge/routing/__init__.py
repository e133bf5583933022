"""Which intake a frame belongs to: rules compiled once, what depends on the peer alone decided once per peer."""

from bridge.routing.conditions import Facts
from bridge.routing.disposition import Disposition
from bridge.routing.router import Profile, Router

__all__ = ["Disposition", "Facts", "Profile", "Router"]
