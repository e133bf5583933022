"""Computes the report of a period from the journal."""
