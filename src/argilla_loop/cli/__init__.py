"""The commands: one file each, and the tables that they print."""
