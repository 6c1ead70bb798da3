"""Sentence-embedding models: where weights come from, and how texts become vectors."""
