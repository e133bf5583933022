"""Connects the process to its host: Twisted reactor, service manager and logging."""
