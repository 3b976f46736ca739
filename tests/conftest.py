"""Imported before every test module."""

import linkage  # noqa: F401 - before grpc: it decides which versions of TLS there are
