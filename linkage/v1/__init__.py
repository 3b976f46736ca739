"""Generated from protos/linkage/v1 by `make proto`; do not edit."""
