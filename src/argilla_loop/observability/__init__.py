"""How the service says what it does: logs, progress, the watchdog."""
