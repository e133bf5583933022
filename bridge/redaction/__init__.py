"""Replaces sensitive texts in messages before anything else sees them."""
