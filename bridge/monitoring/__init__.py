"""Observes the running bridge and its sources, and reports status, alarms and metrics."""
