"""Loads YAML files into one immutable `Config`, or reports every fault with its file, line and column.

    config = load("/etc/syslog-bridge/bridge.yaml")

Steps, in order: `include` reads the files through `yaml_tree`, which turns text into a tree with the place of each
node. `renames` replaces old names of keys. `model_errors` validates the tree with the models of `document` and reports
what they reject. `checks` compares keys with each other. `model` fills in defaults that depend on other keys.

To add a key, add a field to its section (`collector_section`, `listener_sections`, `routes`, `gateway_sections`), a
type to `fields` if no existing type fits, and a line to `conf/bridge.yaml`. To rename a key, also add it to `renames`.
"""

from bridge.config.addresses import Address, MirrorTarget, UnixAddress
from bridge.config.effective import effective
from bridge.config.faults import ConfigurationError, Fault
from bridge.config.gateway_sections import ClusterSection
from bridge.config.listener_sections import Listener
from bridge.config.load import key_file, linted, load, load_again, parse_text
from bridge.config.machine_findings import MachineFinding
from bridge.config.model import Config, Destination, Intake
from bridge.config.routes import Route, RouteConditions
from bridge.config.secret import Secret
from bridge.config.units import Share
from bridge.config.unsent_data_lints import SourceWithUnsentData

__all__ = [
    "Address", "ClusterSection", "Config", "ConfigurationError", "Destination", "Fault", "Intake", "Listener",
    "MachineFinding", "MirrorTarget", "Route", "RouteConditions", "Secret", "Share", "SourceWithUnsentData",
    "UnixAddress", "effective", "key_file", "linted", "load", "load_again", "parse_text",
]  # fmt: skip
