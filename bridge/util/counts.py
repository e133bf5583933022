"""Formats counts for the operator."""


def counted(count: int, noun: str) -> str:
    """Formats a count with its noun, such as ``1 event`` and ``2,000 events``."""
    return f"{count:,} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Returns the plural of a noun, such as ``events``, ``batches`` and ``copies``."""
    if noun.endswith(("ch", "s")):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if noun[-1] == "y" and noun[-2] not in "aeiou" else f"{noun}s"
