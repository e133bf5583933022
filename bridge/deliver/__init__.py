"""Delivers sealed batches to the collector over HTTPS.

``courier`` delivers one intake's batches: ``send_queue`` orders them, ``dispatcher`` shares connections and the request
rate between intakes, ``next_request`` selects the events, ``request`` composes the body, ``client`` posts it,
``outcome`` classifies the answer, and ``response_handler`` settles, retries, splits or quarantines the events.
"""
