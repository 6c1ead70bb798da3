"""The learner: encoder on onnxruntime, stored embeddings, guarded ``ClassyClassifier``. It does not know Argilla."""
