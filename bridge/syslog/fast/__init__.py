"""Reads whole socket reads at once: expressions for the common header shapes."""
