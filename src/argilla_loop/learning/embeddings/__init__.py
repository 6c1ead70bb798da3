"""Embeddings at rest: a cache by text, and those of the pool by position."""
