"""The configuration: YAML files in, one immutable `Config` out, or every fault with its file, line and column.

    config = load("/etc/syslog-bridge/bridge.yaml")

The road, in order: `include` reads the files through `tree` (text to a tree that remembers places), `messages`
validates the tree by the models of `document` and reports what they refuse, `checks` looks at what stands between keys,
`resolve` fills in what follows. To add a key: a field in its section (`destinations`, `senders`, `routes`, `upkeep`),
its type in `fields` if none fits, and a line in `conf/bridge.yaml`.
"""

from bridge.config.addresses import (
    Address,
    CopyTarget,
    Network,
    UnixAddress,
)
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
from bridge.config.load import (
    key_file,
    linted,
    load,
    parse_text,
)
from bridge.config.model import (
    Config,
    Destination,
    Intake,
    never,
)
from bridge.config.routes import (
    MessageMatch,
    Route,
    RouteConditions,
    Unrouted,
)
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
