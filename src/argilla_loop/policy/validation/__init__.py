"""What may be accepted without people: certainty, audits, confidence bounds, promise, revocation."""
