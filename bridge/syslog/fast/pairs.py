"""Finds the times of ``key=value`` texts, whose time is in the values of one or several keys.

One expression runs over all such texts of a read in PCRE2 and replaces each text by the values of its keys. They repeat
within a second, so their time is looked up.
"""

from collections.abc import Sequence

from bridge.syslog.fast.pcre2 import rewriter
from bridge.syslog.shapes import keyvalue
from bridge.syslog.time_formats import Stamp

# The groups are the values of six keys, found in one pass over the pairs. As in ``shapes.keyvalue``, the first value of
# a repeated key is used. A text that is longer than the searched length does not match.
_KEYS = (b"date", b"time", b"tz", b"timezone", b"eventtime", b"timestamp")
_VALUE = rb'=(?|"(?P<%b>[^"\n]*+)"|(?P<%b>[^\s,;|"]*+))'
_WANTED = b"|".join(b"(?(" + key + b")(?!))" + key + _VALUE % (key, key) for key in _KEYS)
_rewrite = rewriter(
    rb"\n(?!.{2000})(?>(?=[det])(?:" + _WANTED + b")"
    + rb'|[A-Za-z_][\w.-]*+(?:=(?:"[^"\n]*+"|[^\s,;|"\n]*+))?+|[0-9.-][\w.-]*+|[^\w.\n-])*+(?=\n|\Z)',
    b"\n\t" + b"\t".join(b"${%b}" % key for key in _KEYS)
)  # fmt: skip


def times_of_pairs(texts: Sequence[bytes]) -> list[Stamp | None]:
    """Returns the time of each text, or None where the reference parser must read it."""
    rewritten = _rewrite(b"\n" + b"\n".join(texts)) if _rewrite else None
    if rewritten is None:
        return [None] * len(texts)
    lines = rewritten[0].split(b"\n")[1:]
    stamps = (keyvalue.time_of_values(line[1:]) if line[:1] == b"\t" else None for line in lines)
    return [stamp if stamp and stamp.second else None for stamp in stamps]
