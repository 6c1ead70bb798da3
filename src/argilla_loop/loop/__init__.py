"""The loop itself: one turn, building a batch, revoking."""
