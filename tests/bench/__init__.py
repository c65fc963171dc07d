"""Benchmarks, each thing beside its alternative in one run: ``python -m tests.bench [NAME ...]``."""
