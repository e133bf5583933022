"""Assigns frames to intakes: routes are compiled once, and what depends on the peer alone is decided once per peer."""

from bridge.routing.conditions import Facts
from bridge.routing.profile import Disposition, Profile
from bridge.routing.router import Router, SourceRules, TextRules

__all__ = ["Disposition", "Facts", "Profile", "Router", "SourceRules", "TextRules"]
