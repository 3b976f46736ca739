"""The hub: relays envelopes and parcels it cannot open, and matches encodings it cannot reverse.

It imports neither the encoders nor the keyring nor the opening half of the seal; CI checks that.
"""
