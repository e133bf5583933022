"""Events on disk, until the collector has them. Blocking calls, no Twisted.

Like a mail queue, names and contents are the whole truth: no index and no ledger file, so ``ls``, ``wc -l`` and ``cat``
work on it, and a restart is the reading of names.

::

    SPOOL/format                                                        the version of this layout
    SPOOL/lock                                                          held by the one process that owns it
    SPOOL/<intake>/<sequence>-<first ms>.open.<encoding>                being written
    SPOOL/<intake>/<sequence>-<earliest ms>-<events>-<bytes>.<encoding>           sealed
    SPOOL/<intake>/<sequence>-<earliest ms>-<events>-<bytes>.sending.<encoding>   may have been accepted already
    SPOOL/<intake>/<...>.pack                                           many sealed batches: ``bridge.spool.pack``
    SPOOL/.archive/<intake>/...                                         delivered batches: ``bridge.spool.archive``
    SPOOL/.quarantine/<reason>/...                                      frames that could not be delivered

One file is one event a line, in one of two encodings (``bridge.batching.encoding``): ``lines`` or ``json``; with
``timed.`` before it, each line begins with the event's time in milliseconds and a TAB. The sequence is the time of
reception in microseconds, bumped so that it only rises. A rename never replaces a file.

What an append returned from survives a killed process. A torn last line, of an append that never returned, is cut.
"""

from bridge.spool.batch import Batch, Piece
from bridge.spool.pack import Loss, Pack
from bridge.spool.store import BatchLimits, Spool, SpoolError

__all__ = ["Batch", "BatchLimits", "Loss", "Pack", "Piece", "Spool", "SpoolError"]
