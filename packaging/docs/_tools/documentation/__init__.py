"""Builds the documentation site: generated references, HTML, man pages, search index and the link check."""
