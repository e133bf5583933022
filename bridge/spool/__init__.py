"""Stores events on disk until the collector has accepted them. Blocking calls, no Twisted.

As in a mail queue, file names and contents are the only state. There is no index and no database, so ``ls``, ``wc -l``
and ``cat`` work on batch files that are not packed, and a restart only reads file names.

::

    SPOOL/format                                                        the version of this layout
    SPOOL/lock                                                          held by the one process that owns the spool
    SPOOL/<intake>/<sequence>-<first ms>.open.<encoding>                being written
    SPOOL/<intake>/<sequence>-<earliest ms>-<events>-<bytes>.<encoding>           sealed
    SPOOL/<intake>/<sequence>-<earliest ms>-<events>-<bytes>.sending.<encoding>   a request may carry it
    SPOOL/<intake>/<sequence>-<earliest ms>-<events>-<bytes>.sent.<encoding>      carried before a start, and counted
    SPOOL/<intake>/<...>.pack                                           many sealed batches: ``bridge.spool.pack``
    SPOOL/.archive/<intake>/...                                         delivered batches: ``bridge.spool.archive``
    SPOOL/.quarantine/<reason>/...                                      frames that could not be delivered

A batch file has one event per line, in one of two encodings (``bridge.batching.encoding``): ``lines`` or ``json``. With
``timed.`` before the encoding, each line begins with the event's time in milliseconds and a TAB. The sequence is the
time of reception in microseconds, forced to increase (``bridge.spool.sequences``). A rename never replaces a file.

Events survive a killed process once their append has returned. Recovery cuts off a torn last line, which belongs to an
append that never returned.
"""

from bridge.spool.batch import Batch, BatchLimits, Piece
from bridge.spool.lock import SpoolError
from bridge.spool.pack import Pack
from bridge.spool.pack_read import Loss
from bridge.spool.store import Spool, SpoolTerms

__all__ = ["Batch", "BatchLimits", "Loss", "Pack", "Piece", "Spool", "SpoolError", "SpoolTerms"]
