"""Loads YAML files into one immutable `Config`, or reports every fault with its file, line and column.

    config = load("/etc/syslog-bridge/bridge.yaml")

Steps, in order: `include` reads the files through `yaml_tree`, which turns text into a tree with the place of each
node. `renames` replaces old names of keys. `model_errors` validates the tree with the models of `document` and reports
what they reject. `checks` compares keys with each other. `model` fills in defaults that depend on other keys.

To add a key, add a field to its section (`collector_section`, `listener_sections`, `routes`, `gateway_sections`), a
type to `fields` if no existing type fits, and its description to `descriptions.yaml`. To rename a key, also add it to
`renames`.

The names of this package are imported on first use. So a command that needs only the faults or the tree of a file does
not wait for pydantic and the models.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.config.addresses import Address, MirrorTarget, UnixAddress
    from bridge.config.effective_text import effective
    from bridge.config.faults import ConfigurationError, Fault
    from bridge.config.gateway_sections import ClusterSection
    from bridge.config.listener_sections import Listener
    from bridge.config.loading import key_file, linted, load, load_again, parse_text
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

_MODULES = {
    "addresses": ("Address", "MirrorTarget", "UnixAddress"),
    "effective_text": ("effective",),
    "faults": ("ConfigurationError", "Fault"),
    "gateway_sections": ("ClusterSection",),
    "listener_sections": ("Listener",),
    "loading": ("key_file", "linted", "load", "load_again", "parse_text"),
    "machine_findings": ("MachineFinding",),
    "model": ("Config", "Destination", "Intake"),
    "routes": ("Route", "RouteConditions"),
    "secret": ("Secret",),
    "units": ("Share",),
    "unsent_data_lints": ("SourceWithUnsentData",),
}
"Module of this package -> the names that it gives to the package. No name is also the name of a module."
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Imports a name of the package from its module, once. Raises AttributeError."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
