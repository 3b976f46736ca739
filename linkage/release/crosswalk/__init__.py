"""Crosswalks: which standard code each agency's own call codes mean.

    documents     inventories, lists of standard codes, crosswalks: one JSON form each
    inventory     an agency counts its codes; what of the counts it may share
    merging       many inventories as one table; how much of it a crosswalk covers
    checking      what is wrong with a crosswalk, all at once
    applying      local code → standard code, every row accounted for
    suggesting    likely standard codes by their descriptions, for a person to accept
    editing       new versions, differences between two, rows of a spreadsheet

- A crosswalk says what a person decided. Nothing here maps a code by itself.
- A code without a mapping is kept and counted, never dropped.
- Pure: bytes and values in, values out.
"""
