"""Benchmarks and simulations; each module runs with `python -m`."""
