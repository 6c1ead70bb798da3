"""Stored embeddings: a cache by text, and the embeddings of a pool by position."""
