"""The command line: one file per role, and the rehearsal and demo that run all of them."""
