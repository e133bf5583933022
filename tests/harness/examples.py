"""How many examples a property is tried with: a part in the short form of the tests, the full number with `--long`."""

LONG = False
"Whether `--long` was given; set before any test is imported."


def examples(short: int, *, long: int) -> int:
    """For hypothesis' `max_examples`."""
    return long if LONG else short
