"""``syslog-bridge drill``: what this machine does when things go wrong, found out before they do.

A bridge as it would be installed (a child process, its spool on the disk that the configuration names) and a collector
of our own on loopback that fails on request. The drill sends numbered events, so loss and doubles are counted by what
arrives and not by what the bridge says of itself. The real configuration is read for its spool, buffers and URL only:
no key is read, no real port is opened, and nothing goes to the collector but one empty request that asks for its clock.

``collector_process`` is the collector, ``processes`` starts it and the bridge, ``senders`` sends events, ``scenarios``
defines the faults, ``rate_ramp`` measures the highest rate, ``machine_checks`` examines disk, buffers and clock.
"""
