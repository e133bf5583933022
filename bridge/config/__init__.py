"""Loads YAML files into one immutable `Config`, or reports every fault with its file, line and column.

    config = load("/etc/syslog-bridge/bridge.yaml")

Steps, in order: `include` reads the files through `yaml_tree`, which turns text into a tree with the place of each
node. `model_errors` validates the tree with the models of `document` and reports what they reject. `checks` compares
keys with each other. `model` fills in defaults that depend on other keys.

To add a key, add a field to its section (`collector_section`, `listener_sections`, `routes`, `gateway_sections`), a
type to `fields` if no existing type fits, and a line to `conf/bridge.yaml`.
"""

from bridge.config.addresses import Address, CopyTarget, Network, UnixAddress
from bridge.config.collector_section import CollectorSection
from bridge.config.effective import effective
from bridge.config.faults import ConfigurationError, Fault
from bridge.config.gateway_sections import (
    AdminSection,
    BatchSection,
    LedgerSection,
    SharedBacklog,
    SpoolSection,
    TimestampsSection,
)
from bridge.config.listener_sections import Listener, SourceFacts
from bridge.config.load import key_file, linted, load, parse_text
from bridge.config.model import Config, Destination, Intake, never
from bridge.config.routes import MessageMatch, Route, RouteConditions, Unrouted
from bridge.config.secret import Secret
from bridge.config.units import Share

__all__ = [
    "Address",
    "AdminSection",
    "BatchSection",
    "CollectorSection",
    "Config",
    "ConfigurationError",
    "CopyTarget",
    "Destination",
    "Fault",
    "Intake",
    "LedgerSection",
    "Listener",
    "MessageMatch",
    "Network",
    "Route",
    "RouteConditions",
    "Secret",
    "Share",
    "SharedBacklog",
    "SourceFacts",
    "SpoolSection",
    "TimestampsSection",
    "UnixAddress",
    "Unrouted",
    "effective",
    "key_file",
    "linted",
    "load",
    "never",
    "parse_text",
]
