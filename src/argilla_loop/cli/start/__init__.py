"""``argilla-loop start``: from a file of texts to labelling in the browser."""
