"""Where the hub keeps things: rows in SQL, large bytes in blobs."""
