"""Find the rows of a partner's own file that are one person, before anything is encoded.

`recordlinkage` is imported here and nowhere else; import this package only where it is used.
"""
