"""Receives syslog on UDP, TCP, TLS, RELP, HTTPS and Unix sockets, and passes each socket read to the pipeline."""
