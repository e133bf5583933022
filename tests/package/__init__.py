"""Checks of what is delivered: the Debian package, its unit, its bill of materials. `sh packaging/check` runs them."""
