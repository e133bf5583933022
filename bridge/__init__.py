"""A syslog to HTTPS bridge: syslog in over UDP, TCP and TLS, events out to SEKOIA.IO's log collector.

The folders are the road of one message, in order: ``listen`` cuts frames, ``syslog`` reads them, ``routing`` finds the
intake, ``batching`` groups them, ``spool`` keeps them on disk, ``deliver`` posts them. ``app`` wires them together.
"""

__version__ = "0.1.0"
