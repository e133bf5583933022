"""What system tests and benchmark share: processes of the installed program, ports, polling, senders, a gate.

Rules of the house: wait on conditions (`polling.until`), never on sleeps; nothing is asserted about time; every load is
bounded and goes to loopback; a process is ended by its own pid.
"""
