"""Measurements. Each is a program (``python -m dev.bench.record``) that prints a table and writes ``bench/results/``."""
