"""What a process has of its machine: the reactor, the service manager, the log."""
