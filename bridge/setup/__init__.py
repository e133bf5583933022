"""Creates a first configuration: wizard, import from other forwarders, connection check."""
