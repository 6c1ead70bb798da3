"""The encoder that learns, on the service's side: when it is tuned, the process that does it, and the switch."""
