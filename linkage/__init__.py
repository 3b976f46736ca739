"""Privacy-preserving record linkage between agencies that may not share client lists."""

__version__ = "0.1.0"
