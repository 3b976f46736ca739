"""Imported before every test module."""

import os

# Tests run one process per core: threads of BLAS would wait for each other more than they work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import linkage  # noqa: F401 - before grpc: it decides which versions of TLS there are
