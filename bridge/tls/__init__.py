"""Certificates and keys as files, and a server's side of TLS; a client's is ``bridge.deliver.tls``."""
