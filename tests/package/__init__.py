"""Tests the Debian package, its unit and its bill of materials. `sh packaging/check` runs them."""
