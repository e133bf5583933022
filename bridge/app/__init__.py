"""Builds the running gateway from a configuration: start, stop and reload."""
