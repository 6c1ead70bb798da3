"""What can go wrong with the stack itself, as one line for people."""


class StackError(Exception):
    """The stack cannot be had or does not start; the message says why and what to do."""
