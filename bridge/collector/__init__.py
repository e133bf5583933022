"""Implements the intake API of SEKOIA.IO's log collector as a twisted.web resource, as far as the API is published.

It replaces the collector in tests, ``demo``, ``syslog-bridge collector`` and benchmarks. The HTTPS listener mounts it
with its own sink. A request passes these modules: ``site`` limits the body size, ``api`` finds the endpoint,
``credentials`` checks the key, ``body`` decompresses, ``formats`` parses the events, ``delivery`` passes them to the
sink (``output`` has two sinks), and ``api`` answers.
"""
