"""The intake API as a resource of twisted.web: what SEKOIA.IO's log collector does, as far as it is published.

It stands in for the collector in tests, ``demo``, ``syslog-bridge collector`` and benchmarks; a listener of the bridge
can mount it and hand it its own sink. The road of one request, file by file: ``site`` bounds the body, ``api`` finds
the endpoint, ``credentials`` checks the key, ``body`` inflates, ``formats`` cuts events, ``delivery`` carries them to
the sink (``output`` has three), ``api`` answers. ``faults`` answers wrongly on purpose.
"""
