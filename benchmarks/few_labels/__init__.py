"""The parts of ``benchmarks/accuracy.py``: data, methods, cells, and the report."""
