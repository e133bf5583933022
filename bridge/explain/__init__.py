"""Explains how one frame is handled: framing, header, route, payload, event time."""
