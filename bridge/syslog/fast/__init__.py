"""Parses all frames of a socket read at once, with one expression per kind of read."""
