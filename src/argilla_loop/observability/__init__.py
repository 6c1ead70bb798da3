"""Logs, progress, heartbeat, systemd notifications and metrics."""
