"""What the service serves over HTTP: health, metrics, and the webhook receiver."""
