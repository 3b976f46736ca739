"""Identities, signatures, seals and the secrets behind them.

`keyring` and `opening` hold what only a party's own machine may hold; the hub imports neither,
and CI proves it.
"""
