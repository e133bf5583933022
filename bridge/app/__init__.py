"""Builds the running gateway from a configuration; starts, reloads and stops it."""
