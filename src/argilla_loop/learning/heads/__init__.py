"""Heads turn embeddings into label probabilities. Arrays in, arrays out; no texts, no disk.

Several are fitted on the same embeddings (``linear``, ``pooled`` and their means, each with or without label names),
and cross-validation on people's examples chooses among them (``choose``).
"""
