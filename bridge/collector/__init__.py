"""Implements the intake API of SEKOIA.IO's log collector as a twisted.web resource, as far as the API is published.

It replaces the collector in tests, ``demo``, ``syslog-bridge collector`` and benchmarks. The HTTPS listener mounts it
with its own sink and its `IntakeLimits` (``limits``). A request passes these modules: ``head`` finds the endpoint and
``credentials`` checks the key, before the body is read; ``site`` and ``body_buffer`` limit the body; ``request_queue``
decides when it is processed; ``body`` decompresses, ``formats`` parses the events, with ``json_reader``; ``delivery``
passes them to the sink (``output`` has two sinks); ``api`` answers, with ``answer_writer``.
"""
