"""Replay a labelled file through the loop, with a simulated annotator in place of people."""
