"""Runs real syslog clients: util-linux's logger, rsyslog, syslog-ng.

`sh tests/peers/fetch` unpacks the two daemons into `.cache/peers`; `rsyslog.py` and `syslog_ng.py` start them from
there as clients that forward what a test sends to them; `logger.py` runs the system's own `logger`.
"""
