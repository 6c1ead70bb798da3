"""The command line: one file for each command, and the tables that the commands print."""
