"""Implements the command line, one module per command: each parses its arguments and prints the result."""
