"""Side by side: the bridge and syslog-ng on this machine, with the same load and the same collector.

    python -m tests.bench [--load W1] [--rounds 3] [--events 1000000] [--only bridge] [--json FILE]

Absolute figures are the machine's; what counts is the ratio of the two within one round (STYLE, 18). `load.py` sends,
`contenders.py` are measured (`measure.py`), `sink.py` is the collector, `__main__.py` runs the rounds and prints.
"""
