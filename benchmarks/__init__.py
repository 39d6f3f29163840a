"""Measurements of taskweb, by subject; run as modules: `python -m benchmarks.<subject>.<script>`."""
