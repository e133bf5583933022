"""Says in words why a source is, or is not, a product."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from bridge.explain.products.signature import Match
from bridge.explain.products.traits import Traits
from bridge.util.counts import counted

# Text of a message is only shown where it is plain.
_NOT_PLAIN = re.compile(r"[^\w .&/()%#*:@$-]", re.ASCII)
_NOT_A_NAME = re.compile(r"[^\w .&/()-]", re.ASCII)
SHOWN = 3
"Number of signatures that a reason lists."


def plain(text: bytes) -> str:
    """Returns the plain characters of a part of a message, at most 40."""
    return _NOT_PLAIN.sub("", text.decode("ascii", "ignore"))[:40].strip()


def name(text: bytes) -> str:
    """Returns a part of a message as a name: letters, digits and few other characters, at most 40."""
    return _NOT_A_NAME.sub("", plain(text)).strip()


def words(match: Match, traits: Traits) -> str:
    """Describes the evidence of one message: ``date= time= devname=``, ``program sshd``, ``CEF of Fortinet``."""
    signature = match.signature
    found = [f"program {plain(traits.program)}"] if signature.programs else []
    if signature.words:
        return ", ".join([signature.words] if signature.words.startswith(tuple(found)) else [*found, signature.words])
    if signature.keys:
        found.append(" ".join(f"{key.partition('=')[0]}=" for key in signature.keys.split()))
    if signature.data:
        found.append(f"structured data [{plain(traits.data_ids.partition(b' ')[0])}]")
    if signature.cef and traits.vendor is not None:
        found.append(
            f"{'LEEF' if b'LEEF:' in traits.text[:80] else 'CEF'} of {plain(traits.vendor)} {plain(traits.product)}"
        )
    if signature.mnemonic:
        found.append(f"mnemonic {plain(traits.mnemonic).partition('-')[0]}")
    if signature.message_ids:
        found.append("its message id")
    if signature.shape:
        found.append(f"a header of the shape {traits.shape}")
    return ", ".join(found) or "the beginning of its text"


def evidence(found: Iterable[str], total: int) -> str:
    """Returns the signatures with the number of messages that have each: ``date= time= in 214 of 214 messages``."""
    counts = Counter(found)
    shown = [f"{text} in {count}" for text, count in counts.most_common(SHOWN)]
    rest = sum(counts.values()) - sum(count for _, count in counts.most_common(SHOWN))
    return ", ".join([*shown, *([f"others in {rest}"] if rest else [])]) + f" of {counted(total, 'message')}"


def listed(names: Sequence[str]) -> str:
    """Returns names as a list: ``A, B and C``."""
    return f"{', '.join(names[:-1])} and {names[-1]}"
