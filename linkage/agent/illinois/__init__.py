"""An Illinois agency's monthly file of dispatches to mental health crises (20 Ill. Adm. Code 1244).

The agency files it itself, from its own file: nothing of it comes from a hub or an extract, and
nothing but the named columns is read.

    layout     what the file looks like: a declared table, with what is known of its source
    settings   what an agency's own columns and codes mean
    report     rows → incidents of a month, every row accounted for
    files      the file to send, its summary, and amendments of what was sent before
    page       the month with charts, for the agency itself
"""
