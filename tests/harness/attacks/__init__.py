"""Attacks on a bridge: what senders, collectors and proxies can do to it from outside, one class for each.

`python -m tests.harness.attacks` runs them in a process of its own; `catalogue.py` lists them.
"""
