"""Compares the bridge with syslog-ng on this machine, with the same load and the same collector.

    python -m tests.bench --json FILE --plot FILE           all loads, three rounds: about twelve minutes
    python -m tests.bench --load W1 --load W4 --rounds 5

Absolute figures depend on the machine; the ratio of two runs within one round is what counts (STYLE, 18). `load.py`
sends a load (`messages.py` through `streams.py` or `datagrams.py`) to one of `contenders.py`; `rounds.py` runs and
`measure.py` measures it. `sink.py` is the collector. `plan.py` defines the runs and their targets, `report.py` prints
them.
"""
