"""The page that shows how the labelling goes, while the service runs."""
