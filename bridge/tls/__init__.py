"""Reads certificates and keys, and serves TLS to clients. ``bridge.deliver.tls`` is the client side."""
