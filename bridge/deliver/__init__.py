"""HTTPS out: from sealed batches to accepted events.

``lanes`` and ``outcome`` decide, ``courier`` acts for one intake, ``dispatcher`` shares connections and requests out,
``client`` posts.
"""
