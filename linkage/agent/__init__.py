"""A partner's agent: the only place where identifiers, keys and content in clear meet.

`agent.Agent` has one method per act of the protocol. Behind them stand `contact` (what was agreed,
and what the hub shows), `projecthome` (what is kept, and where), `signing`, `exchange` (the project
secret), `submission`, `rounds`, `releases` and `parcel`.

It imports neither the hub nor its store; CI checks that.
"""
