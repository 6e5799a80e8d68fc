"""Measurements. Each is a program (``python -m dev.bench.record``): a table, and a file in ``bench/results/``."""
