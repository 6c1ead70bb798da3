"""The process: wiring, signals, listener and retries, identity; what follows a turn; what it serves over HTTP."""
