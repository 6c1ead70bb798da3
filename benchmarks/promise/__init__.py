"""The parts of ``benchmarks/trust.py``: conditions, runs, and the report."""
