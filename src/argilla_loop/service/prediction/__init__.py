"""Predict a whole file with a saved model: rows in, the same rows with label and certainty out, in constant memory."""
