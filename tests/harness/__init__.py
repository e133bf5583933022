"""Provides what system tests and the benchmark share: processes of the installed program, ports, polling, senders.

Rules: wait on conditions (`polling.until`), never on sleeps. Assert nothing about time. Bound every load and send it to
loopback. End a process by its own pid.
"""
