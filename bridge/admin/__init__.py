"""Serves the status page, the API, metrics, health checks and the control socket."""
