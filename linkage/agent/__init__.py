"""A partner's agent: the only place where identifiers, keys and content in clear meet.

It imports neither the hub nor its store; CI checks that.
"""
