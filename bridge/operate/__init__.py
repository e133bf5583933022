"""The commands that change a gateway: through the control socket of its bridge, or on its files where none runs."""
