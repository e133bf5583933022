"""Implements the commands that change a gateway, on a running bridge or on its files."""
