"""Receives syslog over UDP, TCP, TLS and RELP, and delivers the events to SEKOIA.IO's HTTPS log collector.

The packages follow the path of a message: ``listen`` reads sockets and cuts frames, ``syslog`` parses them, ``routing``
finds the intake, ``batching`` groups the events, ``spool`` stores them on disk, ``deliver`` posts them. ``app`` builds
the running gateway from these parts.
"""

__version__ = "0.1.0"
