"""Side by side: the bridge and syslog-ng on this machine, with the same load and the same collector.

    python -m tests.bench --json FILE --plot FILE           all loads, three rounds: about twelve minutes
    python -m tests.bench --load W1 --load W4 --rounds 5

Absolute figures are the machine's; what counts is the ratio of two within one round (STYLE, 18). `load.py` sends
(`messages.py` by `streams.py` or `datagrams.py`), `contenders.py` are measured (`measure.py`) in `rounds.py`, `sink.py`
is the collector; `plan.py` says what is run and what it must show, `report.py` prints it.
"""
