"""Replaces addresses, names and long numbers in frames, so that they may be sent to others and parse as before.

    anonymise(frames).frames     # the same value always has the same replacement

Times, short numbers, words of the message and the names of programs stay. The package uses no file or clock.
"""

from bridge.explain.anonymise.anonymiser import Anonymised, anonymise

__all__ = ["Anonymised", "anonymise"]
