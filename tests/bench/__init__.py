"""Benchmarks: ratios against a peer or a hardware limit, measured side by side in one run."""
