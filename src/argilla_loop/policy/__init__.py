"""Pure decisions: what to do next, what to ask, what to accept, what to learn from. No I/O."""
