"""Runs whole systems for a trial: demo, drill, test messages."""
