"""Formats counts for the operator."""


def counted(count: int, noun: str) -> str:
    """Formats a count with its noun, such as ``1 event`` and ``2,000 events``."""
    return f"{count:,} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Returns the plural of a noun, such as ``events``, ``batches`` and ``copies``."""
    if noun.endswith(("ch", "s")):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if noun[-1] == "y" and noun[-2] not in "aeiou" else f"{noun}s"


def verb(count: int, one: str, many: str) -> str:
    """Returns the form of a verb or pronoun for a count, such as ``is`` or ``are``."""
    return one if count == 1 else many


def times(count: int) -> str:
    """Formats how often something has happened, such as ``once`` and ``2,000 times``."""
    return "once" if count == 1 else f"{count:,} times"
