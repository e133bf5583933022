"""Sets the number of examples of a property test: a part by default, the full number with `--long`."""

LONG = False
"True if `--long` was given; set before any test is imported."


def examples(short: int, *, long: int) -> int:
    """Returns the value for hypothesis' `max_examples`."""
    return long if LONG else short
