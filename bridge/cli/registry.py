"""Lists the commands, grouped as the help shows them. Imports no command.

The summary of each command is here and not only in its module, so that ``syslog-bridge --help`` imports none of them.
"""

from typing import NamedTuple


class CommandEntry(NamedTuple):
    """Describes one command: where it is defined, and its line in the help."""

    group: str
    summary: str
    "The first sentence of the command's own help."
    module: str
    "The module in `bridge.cli`."
    attribute: str
    "The click command in that module."


GROUPS = ("Run", "Configure", "Look", "Act", "Test")
"The groups in the order of the help."

_RUN, _CONFIGURE, _LOOK, _ACT, _TEST = GROUPS

_ROWS = (
    ("run", _RUN, "Run the bridge in the foreground until SIGTERM or Ctrl-C.", "run", "run"),
    ("reload", _RUN, "Reload the configuration of the running bridge.", "running", "reload"),
    ("drain", _RUN, "Close the listeners and deliver all waiting events.", "running", "drain"),
    ("setup", _CONFIGURE, "Write a first configuration and test the connection.", "setup", "setup"),
    ("discover", _CONFIGURE, "Find out which product each sender is, and write a configuration.", "discover",
     "discover"),
    ("import", _CONFIGURE, "Convert another syslog server's configuration, and list what changes.", "import_forwarder",
     "import_forwarder"),
    ("check", _CONFIGURE, "Check the configuration and this machine, and print all errors and warnings.", "check",
     "check"),
    ("config", _CONFIGURE, "Show the effective configuration, or replace old names of keys.", "config",
     "config_group"),
    ("schema", _CONFIGURE, "Print the JSON Schema of the configuration file.", "config", "schema"),
    ("formats", _CONFIGURE, "List the text formats for an intake's format:, or explain format NAME.", "formats",
     "formats"),
    ("key", _CONFIGURE, "Manage intake keys.", "key", "key"),
    ("status", _LOOK, "Show the health of the bridge, or of its spool if none runs.", "status", "status"),
    ("why", _LOOK, "Show where the messages of a sender go or stop.", "why", "why"),
    ("tail", _LOOK, "Show messages as they arrive: time, source, intake, event.", "tail", "tail"),
    ("report", _LOOK, "Account for every event of a period.", "report", "report"),
    ("spool", _ACT, "List, export, move or purge the events in the spool.", "spool", "spool"),
    ("quarantine", _ACT, "List, retry or purge frames in quarantine.", "quarantine", "quarantine"),
    ("unrouted", _ACT, "List frames that match no route, and route them once a route exists.", "quarantine",
     "unrouted"),
    ("replay", _ACT, "Deliver archived events of an intake and a period again.", "replay", "replay"),
    ("explain", _TEST, "Show how messages from stdin are framed, parsed, routed and sent.", "explain", "explain"),
    ("test", _TEST, "Test the configuration with sample messages.", "test", "test"),
    ("send", _TEST, "Send one or more test messages.", "send", "send"),
    ("collector", _TEST, "Run a stand-in for SEKOIA.IO's HTTPS log collector.", "collector", "collector"),
    ("demo", _TEST, "Run a demonstration: a collector, a bridge and sample devices.", "demo", "demo"),
    ("drill", _TEST, "Test this machine with fault scenarios and load.", "drill", "drill"),
)  # fmt: skip

COMMANDS = {name: CommandEntry(*entry) for name, *entry in _ROWS}
"Command name -> its entry, in the order of the help."
