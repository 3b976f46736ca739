"""What leaves after the release: random ids, de-identified content, parcels, the joined extract.

Import the modules themselves: some bring pandas along, and a command that needs only ids should
not wait for it.
"""
