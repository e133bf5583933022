"""Implements ``syslog-bridge drill``: tests on this machine how the bridge handles faults, before they occur.

The drill runs a bridge as a child process, with its spool on the configured disk, and a collector on loopback that
fails on request. Events are numbered, so loss and duplicates are counted from the events that arrive, not from the
counters of the bridge. The real configuration is read only for its spool, buffers and URL. No key is read and no
configured port is opened. The real collector receives one empty request, to compare clocks.

``collector_process`` is the collector, ``processes`` starts it and the bridge, ``senders`` sends events, ``scenarios``
defines the faults, ``rate_ramp`` measures the highest rate, ``machine_checks`` examines disk, buffers and clock.
"""
