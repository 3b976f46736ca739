"""What becomes of linked data: assembly, the extract, and the picture across sectors."""
