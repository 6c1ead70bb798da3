"""Argilla 2.8 over its HTTP API. Raw API objects never leave this package."""
