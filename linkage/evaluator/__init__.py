"""What becomes of linked data: the extract, and the picture across sectors."""

from linkage.evaluator.extract import verify_extract, write_extract

__all__ = ["verify_extract", "write_extract"]
