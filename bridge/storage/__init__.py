"""Runs the spool in a running process: spool thread, disk budget, retention, quotas, journal and delivery store."""
