"""Runs whole systems for demonstration and testing: demo, drill, test messages."""
