"""Ratio benchmarks against the peers, on the machine they run on: ``python -m tests.benchmarks``."""
