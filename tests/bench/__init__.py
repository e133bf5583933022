"""Compares the bridge with syslog-ng on this machine, with the same load and the same collector.

    python -m tests.bench --json FILE --plot FILE           all loads, three rounds: about three quarters of an hour
    python -m tests.bench --load W1 --load W4 --rounds 5
    python -m tests.bench --load W11 --mix tests/bench/mixes/campus.yaml
    python -m tests.bench.cliffs                            cost of an event in unusual loads, as a ratio to W11

Absolute figures depend on the machine; the ratio of two runs within one round is what counts (STYLE, 18). `load.py`
sends a load (`messages.py` through `streams.py` or `datagrams.py`) to one of `contenders.py`; `rounds.py` runs and
`measure.py` measures it. The messages of a real site (W11, W12, W11L) are built by `mix.py` from a table of products in
`mixes/`, sent by `site.py` and routed by `site_routes.py`. `sink.py` is the collector. `plan.py` defines the runs and
their targets, `report.py` prints them.
"""
