"""Measurements: each a program (``python -m dev.bench.record``) that prints a table and writes ``bench/results/*.json``."""
