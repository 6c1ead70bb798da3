"""The parts of ``stopping.py``: one run, and the report."""
