"""The learner: encoder on onnxruntime, embedding cache, guarded ``ClassyClassifier``. Never sees Argilla."""
