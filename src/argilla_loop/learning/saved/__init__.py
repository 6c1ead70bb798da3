"""Models on disk: one ONNX graph from token ids to probabilities, and what runs it without the service."""
