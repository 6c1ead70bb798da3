"""Sentence encoders: finding a model's weights, and turning texts into vectors."""
